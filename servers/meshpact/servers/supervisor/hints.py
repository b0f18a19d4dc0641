"""How a person calls the running mesh: lines to copy, from the examples of mesh.yaml."""

from __future__ import annotations

import shlex
from pathlib import Path

from meshpact.clients.dynamic.errors import UseError
from meshpact.clients.dynamic.grpcurl import grpcurl_line, token_command
from meshpact.clients.dynamic.program import program
from meshpact.clients.dynamic.target import RunningState
from meshpact.mesh.model import Example
from meshpact.mesh.state import DEFAULT_ROOT, State


def hints(state: State) -> list[str]:
    """Two lines for each example of the mesh that runs on `state`: `meshpact call`, and grpcurl."""
    running = RunningState.read(state)
    lines: list[str] = []
    processes = running.running.services
    serving = {name for each in processes.values() for one in each for name in one.serves}
    able = {name for name, each in running.config.services.items() if each.factory or each.command}
    whole = able <= processes.keys()
    for example in running.config.examples:
        if not whole and example.method.rpartition("/")[0] not in serving:
            continue  # it belongs to a system that does not run
        lines += [call_line(example, state.root), _grpcurl(example, running)]
    return lines


def call_line(example: Example, root: Path) -> str:
    """The `meshpact call` of an example."""
    words = [program(), "call", example.method]
    if example.data:
        words += ["-d", example.data]
    words += ["--as", example.identity]
    if example.user:
        words += ["--user", example.user]
        for scope in example.scopes:
            words += ["--scope", scope]
    if root != DEFAULT_ROOT:
        words += ["--state", str(root)]
    return shlex.join(words)


def _grpcurl(example: Example, running: RunningState) -> str:
    service = example.method.rpartition("/")[0]
    try:
        return grpcurl_line(
            running.target(service, caller=example.identity),
            example.method,
            example.data,
            protoset=running.state.contracts_file,
            token_command=token_command(running, example.user, example.scopes),
        )
    except UseError as error:
        return f"# {error}"
