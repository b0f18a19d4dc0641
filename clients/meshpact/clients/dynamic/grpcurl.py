"""The same call as a line of grpcurl (https://github.com/fullstorydev/grpcurl)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from meshpact.clients.dynamic.target import Target


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
    """
    words = [
        *("grpcurl", "-cacert", _short(target.bundle)),
        *("-cert", _short(target.certificate), "-key", _short(target.key)),
        *("-authority", target.authority),
    ]
    if protoset is not None:
        words += ["-protoset", _short(protoset)]
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


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    absolute = str(path.resolve())
    return relative if len(relative) < len(absolute) else absolute
