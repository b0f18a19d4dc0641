"""A small mesh in files, for the tools of access: contracts with lines, bindings of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from meshpact.testing.tokens import TokenIssuer

PROTO: Final = """\
syntax = "proto3";
package shop.v1;
import "meshpact/policy/v1/policy.proto";

service Stock {
  option (meshpact.policy.v1.service) = {
    access: { roles: "stock.reader" }
    deadline: { default: { seconds: 1 } }
    audit: { level: AUDIT_LEVEL_ALL }
  };
  rpc Get(Ask) returns (Told);
  rpc Put(Ask) returns (Told) {
    option (meshpact.policy.v1.method) = {
      access: {
        workload_roles: "stock.desk"
        user_roles: "stock.clerk"
        end_user: END_USER_REQUIRED
        scopes: "stock.write"
      }
    };
  }
  rpc Browse(Ask) returns (Told) {
    option (meshpact.policy.v1.method) = {
      access: { roles: "stock.reader" roles: "stock.chief" end_user: END_USER_OPTIONAL }
      audit: { level: AUDIT_LEVEL_DENIALS }
    };
  }
  rpc Mine(Ask) returns (Told) {
    option (meshpact.policy.v1.method) = { access: { end_user: END_USER_REQUIRED } };
  }
  rpc Open(Ask) returns (Told) {
    option (meshpact.policy.v1.method) = {
      access: { unauthenticated: { reason: "Anyone may see whether the shop is open." } }
    };
  }
}

message Ask {}
message Told {}
"""
ISSUER: Final = "https://issuer.example"
MESH: Final = f"""\
trust_domain: shop.example
services:
  desk: {{}}
  web: {{}}
  stranger: {{}}
roles:
  stock.reader:
    workloads: [web, "spiffe://shop.example/batch/*"]
  stock.desk: {{workloads: [desk], includes: [stock.reader]}}
  stock.clerk: {{users: [anna], groups: [clerks]}}
  stock.chief: {{users: [berta]}}
bindings_file: bindings.jsonl
issuers:
  - {{issuer: {ISSUER}, file: jwks.json, audiences: [shop], algorithms: [ES256]}}
networks:
  mesh: [127.0.0.0/8]
  methods: {{shop.v1.Stock/Put: [127.0.0.1]}}
"""
LINES: Final = '{"role": "stock.reader", "workload": "spiffe://shop.example/cron"}\n'


class Shop:
    """The files of the mesh in a folder, and an issuer of tokens for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mesh = folder / "mesh.yaml"
        self.issuer = TokenIssuer(ISSUER)
        self.issuer.write_jwks(folder / "jwks.json")
        proto = folder / "protos" / "shop" / "v1" / "stock.proto"
        proto.parent.mkdir(parents=True)
        proto.write_text(PROTO)
        self.mesh.write_text(MESH)
        (folder / "bindings.jsonl").write_text(LINES)

    def replaced(self, before: str, after: str) -> None:
        """Changes mesh.yaml."""
        text = self.mesh.read_text()
        assert before in text
        self.mesh.write_text(text.replace(before, after))

    def token(self, user: str, *groups: str, scopes: tuple[str, ...] = ("stock.write",)) -> Path:
        """A file with a token."""
        path = self.folder / "token.txt"
        minted = self.issuer.mint(user, audience=["shop"], scopes=list(scopes), groups=list(groups))
        path.write_text(minted + "\n")
        return path
