"""What every process of a mesh has in common, whether it serves or drives.

It reads the same options, finds its callable, ends on SIGTERM, SIGINT or the loss of its
supervisor, and says why it could not run: to its supervisor in words, to its log whole.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.mesh.config import MeshConfig, load
from meshpact.mesh.local import at_state
from meshpact.mesh.state import State
from meshpact.servers import logs, loop
from meshpact.servers.lifeline import Lifeline

_log = logging.getLogger(__name__)

MESSAGE_LIMIT = 3000
EXTRAS: Final = {"sqlalchemy": "storage", "alembic": "storage", "asyncpg": "postgres"}
"""What installs a module that programs of a mesh import by themselves."""


class StartError(Exception):
    """A process of the mesh cannot start. `exit_code` is 2 for wrong use, else 1."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class ProcessTask:
    """What one process of a mesh is asked to be. Empty addresses: those of mesh.yaml."""

    mesh: Path
    service: str
    state: State
    address: str = ""
    health_address: str = ""

    def config(self) -> MeshConfig:
        """The mesh. MeshFileError when mesh.yaml is faulty, StartError without the service."""
        config = at_state(load(self.mesh), self.mesh, self.state)
        if self.service not in config.services:
            known = ", ".join(sorted(config.services)) or "none"
            raise StartError(
                f"{self.mesh}: there is no service {self.service!r}. It has: {known}.", exit_code=2
            )
        return config

    @property
    def root(self) -> Path:
        """The folder of mesh.yaml: what its factories may be imported from, too."""
        return self.mesh.resolve().parent

    def addresses(self, config: MeshConfig) -> dict[str, str]:
        """Where the services listen: those that run say so in `mesh.json`, else mesh.yaml does."""
        found = {name: service.address for name, service in config.services.items()}
        running = self.state.read_running()
        if running is not None:
            found |= {name: each[0].address for name, each in running.services.items() if each}
        if self.address:
            found[self.service] = self.address
        return found


def parsed(program: str, argv: Sequence[str] | None) -> ProcessTask:
    """The options that the supervisor gives to a process."""
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    parser.add_argument("--mesh", type=Path, required=True)
    parser.add_argument("--service", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--address", default="")
    parser.add_argument("--health-address", default="")
    given = parser.parse_args(argv)
    return ProcessTask(
        given.mesh, given.service, State(given.state), given.address, given.health_address
    )


def run(work: Coroutine[object, object, None], lifeline: Lifeline) -> int:
    """Run a process's work to its end and return the exit code; failures go up and to the log."""
    logs.configure()
    try:
        loop.run(work)
    except Exception as error:
        ours = type(error).__module__.startswith("meshpact.")
        words = str(error) if ours else f"{type(error).__name__}: {error}{_remedy(error)}"
        if ours:
            _log.error("%s", words)
        else:
            _log.exception("the process failed")
        lifeline.report("failed", message=words[:MESSAGE_LIMIT])
        code = getattr(error, "exit_code", None)
        return code if isinstance(code, int) else 1
    return 0


def _remedy(error: Exception) -> str:
    """What to do about a module that a program imports and that is not there."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    if extra := EXTRAS.get(error.name.partition(".")[0]):
        return f". Install it: pip install 'meshpact[{extra}]'"
    return (
        ". Install it, or put it beside mesh.yaml; what comes from a contract, "
        "meshpact generate writes"
    )


@contextlib.contextmanager
def stop_event(lifeline: Lifeline) -> Generator[asyncio.Event]:
    """An event that SIGTERM, SIGINT or the loss of the supervisor sets."""
    running = asyncio.get_running_loop()
    stop = asyncio.Event()

    def lost() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends anyway
            running.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stop.set)
    lifeline.on_lost(lost)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            running.remove_signal_handler(number)


def find(reference: str, root: Path, place: str) -> Callable[..., object]:
    """The callable behind `module:callable`; `place` names where mesh.yaml asks for it.

    Modules come from the installed packages, from `root`, and from `generated` there.
    StartError when there is none.
    """
    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute):
        raise StartError(
            f"{place}: found {reference!r}; allowed: module:callable, such as shop.store:create",
            exit_code=2,
        )
    for folder in (root, root / "generated"):
        if str(folder) not in sys.path and (folder == root or folder.is_dir()):
            sys.path.append(str(folder))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise StartError(
            f"{place}: there is no module {error.name!r}. Install it, or put it below {root}."
        ) from None
    found: object = getattr(module, attribute, None)
    if not callable(found):
        raise StartError(
            f"{place}: {module_name} has no callable {attribute!r}. "
            f"Define it there: async def {attribute}(context): ..."
        )
    return found


def announce(facts: Mapping[str, object], lifeline: Lifeline) -> None:
    """Say that the process is ready: to the supervisor, or as a line of JSON on stdout."""
    lifeline.report("ready", **facts)
    if not lifeline.supervised:
        print(json.dumps(facts), flush=True)  # noqa: T201
