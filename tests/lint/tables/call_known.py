"""MP204: every call that mesh.yaml declares is of a method that the contracts have."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

MESH = """
trust_domain: shop.example
services:
  till:
    calls:
      - @@"%s"
roles:
  shop.reader: { workloads: [till] }
"""

CASES: Final = (
    Case(
        "a method that is there is right",
        method("Get"),
        mesh=(MESH % "PACKAGE.ShopService/Get").replace("@@", ""),
    ),
    Case(
        "all of a service that is there is right",
        method("Get"),
        mesh=(MESH % "PACKAGE.ShopService/*").replace("@@", ""),
    ),
    Case(
        "a method that is not there is found",
        method("Get"),
        ("till calls PACKAGE.ShopService/Gte, which no contract has",),
        mesh=MESH % "PACKAGE.ShopService/Gte",
    ),
    Case(
        "a service that is not there is found",
        method("Get"),
        ("till calls PACKAGE.ShoppService/Get, which no contract has",),
        mesh=MESH % "PACKAGE.ShoppService/Get",
    ),
    Case(
        "a package of others is not looked at",
        method("Get"),
        mesh=(MESH % "grpc.health.v1.Health/Check").replace("@@", ""),
    ),
)
