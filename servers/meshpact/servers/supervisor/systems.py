"""Which part of a mesh runs: the systems of mesh.yaml that `meshpact up --system` names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.mesh.config import MeshConfig, Service
from meshpact.servers.supervisor.errors import UpError

ALL: Final = "all"
"""Asks for every service that can run."""


@dataclass(frozen=True)
class Part:
    """What of a mesh runs: services by name, and whether the driver calls them.

    `whole` says that no service of mesh.yaml that can run is left out.
    """

    services: dict[str, Service]
    driver: bool
    whole: bool


def chosen(mesh: Path, config: MeshConfig, names: Sequence[str]) -> Part:
    """The part that systems make up; of no names the first system, or all where there are none.

    UpError for a system that mesh.yaml does not have, or a mesh with nothing to run.
    """
    able = {name: each for name, each in config.services.items() if each.factory or each.command}
    if not able:
        raise UpError(
            f"{mesh}: no service has a factory or a command, so there is nothing to run. "
            "Give at least one: services.NAME.factory: module:callable.",
            exit_code=2,
        )
    if ALL in names or (not names and not config.systems):
        return Part(able, config.driver is not None, whole=True)
    wanted = list(names) or [next(iter(config.systems))]
    for name in wanted:
        if name not in config.systems:
            allowed = ", ".join([*config.systems, ALL])
            near = difflib.get_close_matches(name, [*config.systems, ALL], 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UpError(
                f"{mesh}: there is no system {name!r}; allowed: {allowed}.{hint}", exit_code=2
            )
    parts = [config.systems[name] for name in wanted]
    services = {service for part in parts for service in part.services}
    return Part(
        {name: each for name, each in able.items() if name in services},
        any(part.driver for part in parts) and config.driver is not None,
        whole=services >= able.keys(),
    )
