"""What a mesh that runs cannot rename: role bindings speak of workloads and users by these names.

Bindings under new names would fit nobody who runs under the old ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from meshpact.mesh.methodcheck import line_of
from meshpact.mesh.model import MeshConfig
from meshpact.mesh.problems import Problem
from meshpact.mesh.tree import Place, spelled

_REMEDY = "Put it back, or restart the mesh: until then the old bindings hold"


def renamed(path: Path, old: MeshConfig, new: MeshConfig) -> list[Problem]:
    """A problem for each name that `new` has changed: trust domain, services' IDs, issuers.

    What only one side has is no rename, but for an issuer that is gone.
    """
    return [
        Problem(path, line_of(path, place), spelled(place), found, allowed, _REMEDY)
        for place, found, allowed in _changes(old, new)
    ]


def _changes(old: MeshConfig, new: MeshConfig) -> Iterator[tuple[Place, str, str]]:
    running = "while the mesh runs"
    if old.trust_domain != new.trust_domain:
        yield ("trust_domain",), f"found {new.trust_domain}", f"{old.trust_domain} {running}"
        return
    for name, service in new.services.items():
        before = old.services.get(name)
        if before is not None and before.id != service.id:
            yield ("services", name), f"found {service.id}", f"{before.id} {running}"
    names = {issuer.issuer for issuer in new.issuers}
    for issuer in old.issuers:
        if issuer.issuer not in names:
            yield ("issuers",), f"the issuer {issuer.issuer} is gone", f"to keep it {running}"
