"""Whether the methods that mesh.yaml speaks of are in the contracts: a slip of the pen there opens
or closes nothing, and nobody would see it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from meshpact.mesh import names
from meshpact.mesh.model import MeshConfig
from meshpact.mesh.problems import MeshFileError, Problem, shown
from meshpact.mesh.reader import closest
from meshpact.mesh.tree import Place, read_tree, spelled


def unknown_methods(
    path: Path, config: MeshConfig, known: Collection[str], *, whole: bool
) -> list[Problem]:
    """A problem for each entry of `methods` and `networks.methods` that no contract has.

    `known` are methods, `package.Service/Method`. `whole` says that no others exist; else only
    entries of services that have some of these are judged.
    """
    services = {method.rpartition("/")[0] for method in known}
    problems: list[Problem] = []
    for place, name in _entries(config):
        service, _, method = name.rpartition("/")
        if service in services:
            if name.endswith(names.ANY) or name in known:
                continue
            of_service = sorted(each for each in known if each.startswith(f"{service}/"))
            found, allowed = f"{service} has no method {shown(method)}", of_service
        elif whole:
            found = f"no contract has the service {shown(service)}"
            allowed = sorted(f"{each}{names.ANY}" for each in services)
        else:
            continue
        near = closest(name, allowed, "Remove it, or put it into a contract")
        problems.append(
            Problem(path, line_of(path, place), spelled(place), found, ", ".join(allowed), near)
        )
    return sorted(problems, key=lambda problem: problem.line)


def _entries(config: MeshConfig) -> Iterator[tuple[Place, str]]:
    for name in config.methods:
        yield ("methods", name), name
    for name in config.networks.methods:
        yield ("networks", "methods", name), name


def line_of(path: Path, place: Place) -> int:
    """The line of an entry of a file that was read before; 0 when the file is another by now."""
    try:
        return read_tree(path).line(place)
    except MeshFileError:
        return 0  # changed since it was read
