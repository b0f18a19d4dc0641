"""The same call as a line of grpcurl (https://github.com/fullstorydev/grpcurl)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from meshpact.clients.dynamic.program import program, short
from meshpact.clients.dynamic.target import RunningState, Target
from meshpact.mesh.state import DEFAULT_ROOT


def grpcurl_line(
    target: Target,
    method: str,
    data: str,
    *,
    protoset: Path | None,
    metadata: Sequence[tuple[str, str]] = (),
    token_command: Sequence[str] = (),
    seconds: float | None = None,
) -> str:
    """A line that makes the call from a shell in this directory; it prefers short paths.

    With `protoset` it needs no reflection, without it the server is asked for the contract.
    `token_command` prints the end user's token: the line runs it, so that it holds no secret.
    UseError when the caller's identity is in no files.
    """
    files = target.files
    words = [
        *("grpcurl", "-cacert", short(files.bundle)),
        *("-cert", short(files.certificate), "-key", short(files.key)),
        *("-authority", target.authority),
    ]
    if protoset is not None:
        words += ["-protoset", short(protoset)]
    if seconds is not None:
        words += ["-max-time", f"{seconds:g}"]
    for key, value in metadata:
        words += ["-H", f"{key}: {value}"]
    line = shlex.join(words)
    if token_command:
        line += f' -H "authorization: Bearer $({shlex.join(token_command)})"'
    if data:
        line += f" {shlex.join(['-d', data])}"
    return f"{line} {shlex.join([target.address, method.removeprefix('/')])}"


def token_command(
    running: RunningState, user: str, scopes: Sequence[str] = (), groups: Sequence[str] = ()
) -> list[str]:
    """The words of the command that prints a token for `user`; empty without a user."""
    if not user:
        return []
    words = [program(), "token", "--user", user]
    for scope in scopes:
        words += ["--scope", scope]
    for group in groups:
        words += ["--group", group]
    if not _same(Path("mesh.yaml"), Path(running.running.mesh_file)):
        words += ["--mesh", short(Path(running.running.mesh_file))]
    if running.state.root != DEFAULT_ROOT:
        words += ["--state", short(running.state.root)]
    return words


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
