"""MP206: where a method demands end users, mesh.yaml has issuers that vouch for some."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

NONE = """
trust_domain: shop.example
roles:
  shop.reader: { workloads: ["spiffe://shop.example/till"] }
"""
ONE = (
    NONE
    + """issuers:
  - { issuer: "https://id.example", file: jwks.json, audiences: [shop], algorithms: [ES256] }
"""
)
REQUIRED = 'access: { roles: "shop.reader" @@end_user: END_USER_REQUIRED }'
FOUND = "an end user is demanded, and mesh.yaml has no issuers"

CASES: Final = (
    Case("a method that takes no end user needs no issuer", method("Get"), mesh=NONE),
    Case("an end user that nobody vouches for is found", method("Get", REQUIRED), (FOUND,), NONE),
    Case("an issuer is enough", method("Get", REQUIRED.replace("@@", "")), mesh=ONE),
    Case(
        "an end user that may be absent needs no issuer",
        method("Get", 'access: { roles: "shop.reader" end_user: END_USER_OPTIONAL }'),
        mesh=NONE,
    ),
    Case(
        "scopes are found by the end user that they demand",
        method("Get", 'access: { @@end_user: END_USER_REQUIRED scopes: "read" }'),
        (FOUND,),
        NONE,
    ),
    Case("without a mesh no issuer is missed", method("Get", REQUIRED.replace("@@", ""))),
)
