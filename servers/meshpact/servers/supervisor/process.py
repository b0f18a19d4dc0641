"""One child process of the supervisor: how it is started, what it reports, how it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from meshpact.servers.lifeline import LIFE_VARIABLE, REPORT_VARIABLE

LOG_LIMIT: Final = 16 * 1024 * 1024
"""Bytes after which a log is set aside as `<name>.log.1` when its process starts."""

Facts = Mapping[str, object]


class Process:
    """A running child with its own session, its output in a log, and the two lifeline pipes.

    `reported` is called with each JSON object the child sends. The child ends by itself when this
    process dies, however it dies (see `meshpact.servers.lifeline`). With `group`, what it starts
    in turn is signalled with it, and does not outlive it.
    """

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, life: int, *, group: bool
    ) -> None:
        self.name = name
        self._process = process
        self._life = life
        self._group = group
        self._reader: asyncio.Task[int] | None = None

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path,
        reported: Callable[[Facts], None],
        environment: Mapping[str, str] | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
        group: bool = False,
    ) -> Process:
        """Start `command`. Raises OSError when the machine cannot."""
        report_out, report_in = os.pipe()
        life_out, life_in = os.pipe()
        output = _open_log(log)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=stdin,
                stdout=output,
                stderr=output,
                cwd=cwd,
                start_new_session=True,
                pass_fds=(report_in, life_out, *pass_fds),
                env={
                    **(os.environ if environment is None else environment),
                    "PYTHONUNBUFFERED": "1",
                    REPORT_VARIABLE: str(report_in),
                    LIFE_VARIABLE: str(life_out),
                },
            )
        except BaseException:
            os.close(report_out)
            os.close(life_in)
            raise
        finally:
            os.close(report_in)
            os.close(life_out)
            os.close(output)
        child = cls(name, process, life_in, group=group)
        child._reader = asyncio.create_task(_read(report_out, reported), name=f"reports of {name}")
        return child

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Its exit code once it has ended and its reports are read; negative for a signal."""
        code = await self._process.wait()
        if self._group:
            self._signal(signal.SIGKILL)
        if self._reader is not None:
            await self._reader
        if self._life >= 0:
            os.close(self._life)
            self._life = -1
        return code

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        if self.alive:
            self._signal(signal.SIGKILL)

    def let_through(self) -> None:
        """Let a process begin that waits at the gate (`meshpact.servers.gate`)."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._life, b"\n")

    async def silent(self) -> bool:
        """Wait until it can report nothing more, as another program or because it has ended.

        Whether it reported nothing at all.
        """
        return self._reader is None or not await asyncio.shield(self._reader)

    async def stop(self, grace: float) -> int:
        """Ask it to end (SIGTERM), kill it after `grace` seconds; returns its exit code."""
        if self.alive:
            self._signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), grace)
            except TimeoutError:
                self.kill()
        return await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._group:
                os.killpg(self.pid, number)
            else:
                self._process.send_signal(number)


def ending(code: int) -> str:
    """An exit code in words: `was killed by SIGKILL`, `ended with exit code 1`."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"
    return f"ended with exit code {code}"


def tail(log: Path, start: int = 0, lines: int = 12) -> list[str]:
    """The last lines of a log from byte `start` on, at most 8 kB of it."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start if start <= size else 0, size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]


def _open_log(log: Path) -> int:
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        if log.stat().st_size > LOG_LIMIT:
            log.rename(log.with_name(log.name + ".1"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


async def _read(descriptor: int, reported: Callable[[Facts], None]) -> int:
    """Pass reports on until there can be no more; how many there were."""
    read = 0
    async for line in _lines(descriptor):
        try:
            facts: object = json.loads(line)
        except ValueError:
            continue
        if isinstance(facts, dict):
            reported(cast("Facts", facts))
            read += 1
    return read


async def _lines(descriptor: int) -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        while line := await reader.readline():
            yield line
    finally:
        transport.close()
