"""MP205: every contract that mesh.yaml says a service serves is one of the contracts."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

MESH: Final = """
trust_domain: shop.example
services:
  shop:
    factory: "shop.app:create"
    serves:
      - @@"%s"
roles:
  shop.reader: { workloads: [shop] }
"""

CASES: Final = (
    Case(
        "a contract that is there is right",
        method("Get"),
        mesh=(MESH % "PACKAGE.ShopService").replace("@@", ""),
    ),
    Case(
        "a contract that is not there is found",
        method("Get"),
        ("shop serves PACKAGE.ShoppService, which no contract has",),
        mesh=MESH % "PACKAGE.ShoppService",
    ),
    Case(
        "a package of others is not looked at",
        method("Get"),
        mesh=(MESH % "grpc.health.v1.Health").replace("@@", ""),
    ),
)
