"""MP103: the names that are generated from a contract are free."""

from __future__ import annotations

from typing import Final

from lint.cases import WHOLE, Case

CASES: Final = (
    Case(
        "two methods with names of their own are right",
        f"service ShopService {{ option (meshpact.policy.v1.service) = {{ {WHOLE} }};\n"
        "rpc GetA(M) returns (M);\nrpc GetB(M) returns (M);\n}\nmessage M {}",
    ),
    Case(
        "two methods that become one name in Python are found",
        f"service ShopService {{ option (meshpact.policy.v1.service) = {{ {WHOLE} }};\n"
        "rpc GetURL(M) returns (M);\n@@@@rpc GetUrl(M) returns (M);\n}\nmessage M {}",
        (
            "its generated name GET_URL is that of PACKAGE.ShopService/GetURL too",
            "its generated name get_url is that of PACKAGE.ShopService/GetURL too",
        ),
    ),
)
