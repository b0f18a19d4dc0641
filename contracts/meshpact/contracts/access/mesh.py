"""A mesh as the tools of access see it: mesh.yaml, its bindings, its contracts, and their lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from meshpact.certs.spiffe import SpiffeError, SpiffeId
from meshpact.contracts.access.methods import AccessMethod, Overlay, methods_of
from meshpact.contracts.access.sources import find_contracts
from meshpact.contracts.faults import Place, WrongUse
from meshpact.contracts.image import Image
from meshpact.mesh import config as configs
from meshpact.mesh import overlay as overlays
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.methodcheck import unknown_methods
from meshpact.mesh.networks import Networks
from meshpact.mesh.problems import MeshFileError
from meshpact.mesh.reader import closest
from meshpact.mesh.roles import RoleBindings
from meshpact.mesh.tree import Place as TreePlace
from meshpact.mesh.tree import Tree, read_tree


@dataclass(frozen=True)
class AccessMesh:
    """One state of a mesh."""

    path: Path
    config: MeshConfig
    bindings: RoleBindings
    methods: Mapping[str, AccessMethod]

    @cached_property
    def networks(self) -> Networks:
        """Its lists of networks."""
        return Networks(self.config.networks)

    @cached_property
    def tree(self) -> Tree:
        """mesh.yaml with its lines."""
        return read_tree(self.path)

    def place(self, place: TreePlace) -> Place:
        """A place in mesh.yaml."""
        return Place(str(self.path), self.tree.line(place))

    def workload(self, name: str) -> str:
        """The SPIFFE ID of a caller by its name in mesh.yaml or by itself. WrongUse says which
        name is like it."""
        if name in self.config.services:
            return self.config.services[name].id
        if not name:
            return name
        if name.startswith("spiffe:"):
            try:
                return str(SpiffeId.parse(name))
            except SpiffeError as error:
                raise WrongUse(str(error)) from None
        services = self.config.services
        remedy = closest(name, services, f"There are: {', '.join(services) or 'none'}")
        raise WrongUse(
            f"there is no workload {name!r} in {self.path}: name one of its services, or give a "
            f"whole SPIFFE ID. {remedy}"
        )

    def name_of(self, workload: str) -> str:
        """What to call a workload: its name in mesh.yaml, else its SPIFFE ID."""
        return self._names.get(workload, workload)

    @cached_property
    def _names(self) -> dict[str, str]:
        return {service.id: name for name, service in self.config.services.items()}


def read_mesh(path: Path, image: Image, built_in: Overlay, *, whole: bool = True) -> AccessMesh:
    """A mesh with these contracts. `built_in` are policies of what every server brings along.

    With `whole`, a method in mesh.yaml that none of them has is a fault. Raises MeshFileError and
    ContractsError.
    """
    config = configs.load(path)
    overlay = dict(built_in)
    if config.overlay is not None:
        for name, policy in overlays.load(config.overlay).items():
            overlay[name.removeprefix("/")] = policy
    methods = methods_of(image, overlay, config.overlay or "")
    if whole and (problems := unknown_methods(path, config, methods.keys(), whole=True)):
        raise MeshFileError(problems)
    return AccessMesh(path, config, RoleBindings.compile(config), methods)


def read_access(
    path: Path, protos: Sequence[Path], protoset: Path, built_in: Overlay
) -> AccessMesh:
    """A mesh with the contracts found for it (`sources.find_contracts`)."""
    return read_mesh(path, find_contracts(protos, path.parent, protoset), built_in)
