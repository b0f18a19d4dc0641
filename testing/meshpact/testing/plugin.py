"""Fixtures for pytest: `pytest_plugins = ["meshpact.testing.plugin"]` in conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from meshpact.servers.mount import Servicer
    from meshpact.testing.mesh import LocalMesh


class NewMesh(Protocol):
    """Makes a mesh of a mesh.yaml (default: the one in pytest's root folder), to be entered."""

    def __call__(
        self,
        mesh_file: Path | str = "mesh.yaml",
        *,
        services: Iterable[str] | None = None,
        servicers: Mapping[str, Servicer | Sequence[Servicer]] | None = None,
        storage: Callable[[str], str] | None = None,
        keep_issuers: Collection[str] = (),
    ) -> LocalMesh:
        """The mesh, not entered yet."""
        ...


@pytest.fixture
def local_mesh(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> NewMesh:
    """`async with local_mesh(services=[...]) as mesh`: a `LocalMesh` with a state of its own.

    Without asyncio: `with BlockingMesh(local_mesh(...)) as mesh`.
    """

    def make(
        mesh_file: Path | str = "mesh.yaml",
        *,
        services: Iterable[str] | None = None,
        servicers: Mapping[str, Servicer | Sequence[Servicer]] | None = None,
        storage: Callable[[str], str] | None = None,
        keep_issuers: Collection[str] = (),
    ) -> LocalMesh:
        from meshpact.testing.mesh import LocalMesh

        return LocalMesh(
            pytestconfig.rootpath / mesh_file,
            state=tmp_path_factory.mktemp("mesh"),
            services=services,
            servicers=servicers,
            storage=storage,
            keep_issuers=keep_issuers,
        )

    return make
