"""What must hold in the keys `identity` and `federation` of a mesh.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from meshpact.certs.bundlefetch import is_https
from meshpact.certs.errors import SourceError
from meshpact.certs.spiffe import SpiffeError, TrustDomain
from meshpact.certs.workloadapi import socket_path
from meshpact.mesh.model import Federated, IdentitySettings, MeshConfig
from meshpact.mesh.problems import shown
from meshpact.mesh.tree import Place, Tree

_BUNDLES: Final = "a file, or the https address of a SPIFFE bundle document (without a user)"


def check_identity(settings: IdentitySettings, tree: Tree) -> None:
    """Where identities come from."""
    if settings.workload_api and settings.files:
        tree.add(
            ("identity",),
            "workload_api and files given",
            "one of workload_api, files; neither: the state directory",
            "Take one of them out",
        )
    if settings.workload_api:
        try:
            socket_path(settings.workload_api)
        except SourceError:
            tree.add(
                ("identity", "workload_api"),
                f"found {shown(settings.workload_api)}",
                "the address of a Unix socket, unix:///path/of/socket",
            )


def check_federation(config: MeshConfig, own: TrustDomain, tree: Tree) -> dict[str, Federated]:
    """The federated domains, with the paths of files made absolute."""
    found: dict[str, Federated] = {}
    for name, federated in config.federation.items():
        place: Place = ("federation", name)
        try:
            domain = TrustDomain(name)
        except SpiffeError as error:
            tree.add(place, str(error))
            continue
        if domain == own:
            tree.add(
                place,
                f"{name} is the trust domain of this mesh",
                "another trust domain",
                "Remove it: the bundle of the mesh's own domain comes with its identities",
            )
        bundle = federated.bundle
        if "://" in bundle:
            if not is_https(bundle):
                tree.add((*place, "bundle"), f"found {shown(_bare(bundle))}", _BUNDLES)
        else:
            bundle = str((tree.path.parent / Path(bundle)).absolute())
        found[name] = msgspec.structs.replace(federated, bundle=bundle)
    return found


def _bare(url: str) -> str:
    """An address without what may be a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
