"""MP202: a default deadline fits inside those of the callers that mesh.yaml declares."""

from __future__ import annotations

from typing import Final

from lint.cases import Case

CONTRACT = """
service ShopService {
  option (meshpact.policy.v1.service) = {
    access: { roles: "shop.reader" }
    deadline: { default: { seconds: 2 } max: { seconds: 10 } }
    audit: { level: AUDIT_LEVEL_DENIALS }
  };
  rpc GetOne(M) returns (M);
  rpc GetAll(M) returns (M) {
    option (meshpact.policy.v1.method) = {
      deadline: { default: { seconds: 8 } max: { seconds: 10 } }
    };
  }
  rpc WatchAll(M) returns (stream M) {
    option (meshpact.policy.v1.method) = {
      deadline: { default: { seconds: 80 } }
    };
  }
}
service TillService {
  option (meshpact.policy.v1.service) = {
    access: { roles: "shop.reader" }
    deadline: { default: { seconds: 3 } max: { seconds: 10 } }
    audit: { level: AUDIT_LEVEL_DENIALS }
  };
  rpc GetTill(M) returns (M);
}
message M {}
"""
MESH = """
trust_domain: shop.example
services:
  till:
    factory: "a.b:create"
    calls:
      - @@PACKAGE.ShopService/%s
  robot: { calls: [PACKAGE.ShopService/GetAll] }
roles:
  shop.reader: { workloads: [till, robot] }
"""

CASES: Final = (
    Case("a call that fits is right", CONTRACT, mesh=(MESH % "GetOne").replace("@@", "")),
    Case(
        "a call that takes longer than its caller has is found in mesh.yaml",
        CONTRACT,
        (
            "till calls PACKAGE.ShopService/GetAll, whose default deadline is 8 s, and has itself "
            "3 s at most (PACKAGE.TillService/GetTill)",
        ),
        mesh=MESH % "GetAll",
    ),
    Case("a stream is not looked at", CONTRACT, mesh=(MESH % "WatchAll").replace("@@", "")),
    Case(
        "of all methods of a service, those that do not fit are found",
        CONTRACT,
        (
            "till calls PACKAGE.ShopService/GetAll, whose default deadline is 8 s, and has itself "
            "3 s at most (PACKAGE.TillService/GetTill)",
        ),
        mesh=MESH.replace("ShopService/%s", '"ShopService/*"').replace('PACKAGE."', '"PACKAGE.'),
    ),
)
