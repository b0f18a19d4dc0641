"""What the rules about callers read of mesh.yaml: who calls what, and who holds which role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from meshpact.contracts.faults import Place
from meshpact.mesh import config as configs
from meshpact.mesh import overlay as overlays
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.overlay import Overlay
from meshpact.mesh.roles import RoleBindings
from meshpact.mesh.tree import Place as TreePlace
from meshpact.mesh.tree import Tree, read_tree


@dataclass(frozen=True)
class Call:
    """An entry of `services.NAME.calls`; `method` may end in `/*`."""

    caller: str
    method: str
    place: Place


@dataclass(frozen=True)
class Serves:
    """An entry of `services.NAME.serves`."""

    service: str
    contract: str
    place: Place


class LintMesh:
    """A mesh.yaml as the rules see it. MeshFileError says what is wrong with the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: MeshConfig = configs.load(path)
        self.bindings = RoleBindings.compile(self.config)
        self.overlay: Overlay | None = (
            overlays.load(self.config.overlay) if self.config.overlay is not None else None
        )

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """Every call that mesh.yaml declares."""
        return tuple(self._calls())

    @cached_property
    def served(self) -> tuple[Serves, ...]:
        """Every contract that mesh.yaml says a service serves."""
        return tuple(
            Serves(name, contract, self._place(("services", name, "serves", index)))
            for name, service in self.config.services.items()
            for index, contract in enumerate(service.serves)
        )

    @cached_property
    def roles_of_users(self) -> frozenset[str]:
        """The roles that some end user or group holds."""
        users, groups = self.bindings.users, self.bindings.groups
        held = [self.bindings.roles_of_user(each.issuer, each.name, frozenset()) for each in users]
        held += [
            self.bindings.roles_of_user(each.issuer, "", frozenset({each.name})) for each in groups
        ]
        return frozenset[str]().union(*held)

    def roles_of(self, caller: str) -> frozenset[str]:
        """The roles of a service of mesh.yaml as a workload."""
        return self.bindings.roles_of_workload(self.config.services[caller].id)

    def _calls(self) -> Iterator[Call]:
        for caller, service in self.config.services.items():
            for index, method in enumerate(service.calls):
                yield Call(caller, method, self._place(("services", caller, "calls", index)))

    def _place(self, place: TreePlace) -> Place:
        return Place(str(self.path), self._tree.line(place))

    @cached_property
    def _tree(self) -> Tree:
        return read_tree(self.path)
