"""The public socket: reads who connects, which gRPC does not show, and passes the bytes on.

Each connection goes on to gRPC's own socket from a socket that is bound to a one-time name;
gRPC shows that name as the peer of a call, and so leads back to the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import select
import socket
import struct
from collections import Counter
from pathlib import Path
from typing import Final

from meshpact.servers.workloadapi.attestation import Peer, ProcessTable
from meshpact.servers.workloadapi.place import one_time_name

_log: Final = logging.getLogger(__name__)

CONNECTIONS: Final = 256
"""Connections at once; each takes three descriptors."""
CONNECTIONS_EACH: Final = 32
"""Connections at once of one process."""

_SO_PEERPIDFD: Final = 77
_CHUNK: Final = 64 * 1024
_CREDENTIALS: Final = struct.Struct("3i")
_PAUSE: Final = 0.1


class Front:
    """Takes connections from `listener` and passes them on to the Unix socket at `inner`.

    The one-time names are made in the directory of `inner` and gone once a connection is made. A
    connection beyond the limits, or of a process that has ended, is closed at once.
    """

    def __init__(
        self,
        listener: socket.socket,
        inner: Path,
        table: ProcessTable,
        *,
        connections: int = CONNECTIONS,
        connections_each: int = CONNECTIONS_EACH,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._inner = inner
        self._table = table
        self._connections = connections
        self._connections_each = connections_each
        self._peers: dict[str, Peer] = {}
        self._held: Counter[Peer] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def peer(self, name: str) -> Peer | None:
        """The process behind a call, by what gRPC says of its peer (`context.peer()`)."""
        return self._peers.get(name.rpartition("/")[2])

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._peers)

    async def run(self) -> None:
        """Take connections until cancelled; then all of them are closed."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    outer, _ = await loop.sock_accept(self._listener)
                except OSError as error:  # no descriptors left, for one
                    _log.error("no connection can be taken: %s", error.strerror)
                    await asyncio.sleep(_PAUSE)
                    continue
                task = asyncio.create_task(self._serve(outer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, outer: socket.socket) -> None:
        with outer:
            outer.setblocking(False)
            peer = _connected(outer, self._table)
            if peer is None:
                return
            full = len(self._peers) >= self._connections
            if full or self._held[peer] >= self._connections_each:
                _log.warning("process %d has a connection too many: it is closed", peer.pid)
                return
            name = one_time_name()
            self._peers[name] = peer
            self._held[peer] += 1
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as inner:
                    await self._connect(inner, name)
                    await _joined(outer, inner)
            except OSError as error:
                _log.warning("the connection of process %d is lost: %s", peer.pid, error.strerror)
            finally:
                del self._peers[name]
                self._held[peer] -= 1
                if not self._held[peer]:
                    del self._held[peer]

    async def _connect(self, inner: socket.socket, name: str) -> None:
        """Connect under a one-time name, which the kernel keeps when its file is gone."""
        inner.setblocking(False)
        path = self._inner.with_name(name)
        try:
            inner.bind(str(path))
            await asyncio.get_running_loop().sock_connect(inner, str(self._inner))
        finally:
            with contextlib.suppress(OSError):
                path.unlink()


def _connected(connection: socket.socket, table: ProcessTable) -> Peer | None:
    """The process that connected (unix(7), SO_PEERCRED); None when it has ended since.

    Its ID may be another's by now. Where the kernel hands out the process itself (SO_PEERPIDFD,
    Linux 6.5), that one must still live after `/proc` was read: so what was read is of it.
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    peer = table.peer(_CREDENTIALS.unpack(raw)[0])
    try:
        process = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        return peer if error.errno == errno.ENOPROTOOPT else None
    try:
        life = select.poll()
        life.register(process, select.POLLIN)
        ended = life.poll(0)  # readable once it has ended (pidfd_open(2))
    finally:
        os.close(process)
    return None if ended else peer


async def _joined(outer: socket.socket, inner: socket.socket) -> None:
    """Pass bytes both ways until gRPC has ended; that the caller has ended is passed on to it."""
    async with asyncio.TaskGroup() as ways:
        upwards = ways.create_task(_pumped(outer, inner))
        await _pumped(inner, outer)
        upwards.cancel()


async def _pumped(source: socket.socket, sink: socket.socket) -> None:
    """Pass bytes on as fast as `sink` takes them, then the end of file."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await loop.sock_recv(source, _CHUNK):
            await loop.sock_sendall(sink, data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
