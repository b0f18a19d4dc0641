"""The public socket: bytes pass both ways, nothing is kept that is not wanted, nobody takes all."""

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshpact.servers.workloadapi.attestation import Peer
from meshpact.servers.workloadapi.front import Front
from workloadapi.world import START, Proc, until

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MEGABYTE = 1024 * 1024
BUFFERED = 8 * MEGABYTE
"""Far more than all sockets and buffers on the way hold."""


class Stage:
    """A front, and behind it a server of the test's own instead of gRPC."""

    def __init__(self, home: Path, front: Front, proc: Proc) -> None:
        self.home = home
        self.front = front
        self.proc = proc
        self.names: list[str] = []
        """What the server saw as its peers."""
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(str(self.home / "api.sock"))
        self.writers.append(writer)
        return reader, writer

    def sockets(self) -> set[str]:
        return {path.name for path in self.home.iterdir() if path.is_socket()}


@asynccontextmanager
async def stage(home: Path, handler: Handler, **limits: int) -> AsyncGenerator[Stage]:
    proc = Proc(home / "proc")
    proc.add(os.getpid())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "api.sock"))
        listener.listen(256)
        front = Front(listener, home / "inner.sock", proc.table, **limits)
        made = Stage(home, front, proc)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made.names.append(writer.get_extra_info("peername"))
            try:
                await handler(reader, writer)
            except ConnectionError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_unix_server(handle, home / "inner.sock")
        running = asyncio.create_task(front.run())
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert front.open == 0
            server.close()
            for writer in made.writers:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def test_bytes_pass_both_ways_and_so_does_the_end(tmp_path: Path) -> None:
    async with stage(tmp_path, echo) as front:
        reader, writer = await front.connect()
        sent = os.urandom(3 * MEGABYTE)

        async def write() -> None:
            writer.write(sent)
            await writer.drain()
            writer.write_eof()

        received, _ = await asyncio.gather(reader.read(-1), write())
        assert received == sent
        writer.close()
        await until(lambda: front.front.open == 0)


async def test_the_name_of_a_connection_leads_to_its_process_while_it_lasts(tmp_path: Path) -> None:
    async with stage(tmp_path, echo) as front:
        reader, writer = await front.connect()
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        (name,) = front.names
        assert front.front.peer(f"unix:{name}") == Peer(os.getpid(), START)
        assert front.front.peer("unix:") is None
        assert front.front.peer(f"unix:{tmp_path}/p0123456789abcdef") is None
        writer.close()
        await until(lambda: front.front.peer(name) is None)


async def test_one_time_names_differ_and_leave_nothing_behind(tmp_path: Path) -> None:
    async with stage(tmp_path, echo, connections_each=50) as front:
        for _ in range(3):
            pairs = [await front.connect() for _ in range(40)]
            for reader, writer in pairs:
                writer.write(b"x")
                assert await reader.read(1) == b"x"
            assert front.sockets() == {"api.sock", "inner.sock"}
            for _, writer in pairs:
                writer.close()
            await until(lambda: front.front.open == 0)
        assert len(set(front.names)) == 120


async def test_a_connection_that_cannot_be_passed_on_is_closed_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, echo) as front:
        (tmp_path / "inner.sock").unlink()
        reader, _ = await front.connect()
        assert await reader.read() == b""
        assert front.sockets() == {"api.sock"}
        assert front.front.open == 0


async def test_the_caller_hears_of_the_end_of_the_server(tmp_path: Path) -> None:
    async def goodbye(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"goodbye")

    async with stage(tmp_path, goodbye) as front:
        reader, _ = await front.connect()
        assert await reader.read() == b"goodbye"
        await until(lambda: front.front.open == 0)


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_the_server_hears_of_a_caller_that_vanishes(tmp_path: Path, how: str) -> None:
    ended = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not reader.at_eof():
                writer.write(b"x" * 65536)
                await writer.drain()
        finally:
            ended.set()

    async with stage(tmp_path, flood) as front:
        reader, writer = await front.connect()
        assert await reader.read(1) == b"x"
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        async with asyncio.timeout(30):
            await ended.wait()
        await until(lambda: front.front.open == 0)


async def test_a_slow_reader_slows_the_server_and_fills_no_memory(tmp_path: Path) -> None:
    total = 64 * MEGABYTE
    written = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        while written < total:
            writer.write(b"x" * 65536)
            written += 65536
            await writer.drain()

    async with stage(tmp_path, flood) as front:
        reader, _ = await front.connect()
        read = 0
        while data := await reader.read(65536):
            read += len(data)
            assert written - read < BUFFERED
        assert read == total


async def test_one_process_cannot_take_all_connections(tmp_path: Path) -> None:
    async with stage(tmp_path, echo, connections_each=2) as front:
        held = [await front.connect() for _ in range(2)]
        await until(lambda: len(front.names) == 2)
        reader, _ = await front.connect()
        assert await reader.read() == b""
        held[0][1].close()
        await until(lambda: front.front.open == 1)
        reader, writer = await front.connect()
        writer.write(b"x")
        assert await reader.read(1) == b"x"


async def test_all_connections_together_are_bounded(tmp_path: Path) -> None:
    async with stage(tmp_path, echo, connections=3, connections_each=9) as front:
        for _ in range(3):
            await front.connect()
        await until(lambda: front.front.open == 3)
        reader, _ = await front.connect()
        assert await reader.read() == b""


async def test_a_process_that_has_ended_already_is_not_served(tmp_path: Path) -> None:
    async with stage(tmp_path, echo) as front:
        front.proc.remove(os.getpid())
        reader, _ = await front.connect()
        assert await reader.read() == b""
        assert front.names == []


async def test_ending_the_front_ends_its_connections(tmp_path: Path) -> None:
    async with stage(tmp_path, echo) as front:
        reader, writer = await front.connect()
        writer.write(b"x")
        assert await reader.read(1) == b"x"
    assert await reader.read() == b""


def shows_processes() -> bool:
    """Whether this kernel hands out the process behind a socket (Linux 6.5)."""
    left, right = socket.socketpair()
    with left, right:
        try:
            os.close(left.getsockopt(socket.SOL_SOCKET, 77))
        except OSError:
            return False
        return True


if shows_processes():

    async def test_a_connection_whose_process_has_ended_is_not_taken_for_its_successor_s(
        tmp_path: Path,
    ) -> None:
        """The ID is another process's by now, as `/proc` has it; a helper holds the connection."""
        code = (
            "import os, socket, sys\n"
            f"held = socket.socket(socket.AF_UNIX); held.connect({str(tmp_path / 'api.sock')!r})\n"
            "helper = os.fork()\n"
            "sys.stdout.buffer.write(held.recv(1)) if helper == 0 else None\n"
        )
        async with stage(tmp_path, echo) as front:
            # While this waits for the process to end, nobody takes the connection.
            with subprocess.Popen(  # noqa: ASYNC220  (the loop is to stand still)
                [sys.executable, "-c", code], stdout=subprocess.PIPE
            ) as process:
                process.wait(30)
                front.proc.add(process.pid)
                assert process.stdout is not None
                assert await asyncio.to_thread(process.stdout.read) == b""
            assert front.names == []
