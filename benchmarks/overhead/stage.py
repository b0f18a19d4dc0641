"""The mesh that measurements run in: certificates, roles and networks of one temporary folder.

Both ends read the same folder, so that a server process needs one argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.certs.ca import LocalCA, write_bundle, write_svid
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import SpiffeId
from meshpact.mesh.config import load
from meshpact.mesh.model import MeshConfig

TRUST_DOMAIN: Final = "measure.example"
SERVER: Final = "server"
CALLER: Final = "caller"
SERVER_ID: Final = SpiffeId.parse(f"spiffe://{TRUST_DOMAIN}/{SERVER}")

_MESH: Final = f"""\
trust_domain: {TRUST_DOMAIN}
services:
  {SERVER}: {{}}
  {CALLER}: {{}}
roles:
  measure.caller:
    workloads: [{CALLER}]
  measure.other:
    workloads: [{SERVER}]
    groups: [staff]
networks:
  mesh: ["127.0.0.0/8", "::1/128"]
  services:
    {SERVER}: ["127.0.0.0/8", "10.0.0.0/8"]
"""


@dataclass(frozen=True)
class Stage:
    """The folder of one measurement."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Stage:
        """Fills an empty folder: mesh.yaml, a CA, an identity for each end."""
        stage = cls(folder)
        stage.mesh_file.write_text(_MESH, encoding="utf-8")
        ca = LocalCA.init(folder / "ca", TRUST_DOMAIN)
        trust = folder / "trust"
        trust.mkdir()
        write_bundle(trust, ca.bundle)
        for service in (SERVER, CALLER):
            identity = folder / "identities" / service
            identity.mkdir(parents=True)
            write_svid(identity, ca.issue(SpiffeId.parse(f"spiffe://{TRUST_DOMAIN}/{service}")))
        return stage

    @property
    def mesh_file(self) -> Path:
        """The mesh.yaml."""
        return self.folder / "mesh.yaml"

    @property
    def audit_file(self) -> Path:
        """Where denials would be written."""
        return self.folder / "audit.jsonl"

    def config(self) -> MeshConfig:
        """The mesh.yaml, read."""
        return load(self.mesh_file)

    def identity(self, service: str) -> FileSource:
        """The identity of one end, from its files."""
        return FileSource(self.folder / "identities" / service, self.folder / "trust")
