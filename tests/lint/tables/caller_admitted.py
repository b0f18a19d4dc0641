"""MP203: every caller that mesh.yaml declares holds the roles that its calls demand."""

from __future__ import annotations

from typing import Final

from lint.cases import WHOLE, Case

CONTRACT = f"""
service ShopService {{
  option (meshpact.policy.v1.service) = {{ {WHOLE} }};
  rpc GetOne(M) returns (M);
  rpc GetUser(M) returns (M) {{
    option (meshpact.policy.v1.method) = {{
      access: {{ roles: "shop.buyer" end_user: END_USER_REQUIRED }}
    }};
  }}
  rpc GetAll(M) returns (M) {{
    option (meshpact.policy.v1.method) = {{
      access: {{ roles: "shop.reader" workload_roles: "shop.auditor" }}
    }};
  }}
}}
message M {{}}
"""
MESH = """
trust_domain: shop.example
services:
  till:
    calls:
      - @@"PACKAGE.ShopService/%s"
  other: {}
issuers:
  - issuer: https://issuer.example
    jwks: https://issuer.example/keys
    audiences: [shop]
roles:
  shop.reader: { workloads: [%s] }
  shop.buyer: { users: [%s] }
  shop.auditor: { workloads: [other] }
"""


def _mesh(method: str, readers: str = "till", buyers: str = "", found: bool = False) -> str:
    text = MESH % (method, readers, buyers)
    return text if found else text.replace("@@", "")


def _lacks(method: str, role: str) -> str:
    return f"till calls PACKAGE.ShopService/{method} and holds none of its roles: {role}"


CASES: Final = (
    Case("a caller with the role is right", CONTRACT, mesh=_mesh("GetOne")),
    Case(
        "a caller without it is found in mesh.yaml",
        CONTRACT,
        (_lacks("GetOne", "shop.reader"),),
        mesh=_mesh("GetOne", readers="other", found=True),
    ),
    Case("an end user may hold it instead", CONTRACT, mesh=_mesh("GetUser", buyers="anna")),
    Case(
        "an end user cannot where nobody holds it",
        CONTRACT,
        (_lacks("GetUser", "shop.buyer"),),
        mesh=_mesh("GetUser", found=True),
    ),
    Case(
        "a role of workloads must be the caller's own",
        CONTRACT,
        (_lacks("GetAll", "shop.auditor"),),
        mesh=_mesh("GetAll", found=True),
    ),
    Case(
        "of all methods of a service, one that it may call is enough",
        CONTRACT,
        mesh=_mesh("*"),
    ),
)
