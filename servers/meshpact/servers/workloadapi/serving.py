"""The process that serves the Workload API, as the supervisor starts it.

The supervisor hands down the public socket, and tells on stdin, a JSON object a line, which
processes it has started and which of them have ended. Each one that is known now is reported back.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from meshpact.certs.jwtauthority import JwtAuthority
from meshpact.mesh.config import load
from meshpact.mesh.sources import Sources
from meshpact.mesh.state import State
from meshpact.servers.child import settled
from meshpact.servers.lifeline import Lifeline
from meshpact.servers.process import run, stop_event
from meshpact.servers.workloadapi.attestation import Peer, ProcessTable, Workloads
from meshpact.servers.workloadapi.endpoint import served
from meshpact.servers.workloadapi.place import Place

_log: Final = logging.getLogger(__name__)


class News(msgspec.Struct, frozen=True):
    """What the supervisor tells: a process of a service was started, or has ended."""

    event: str
    service: str
    pid: int
    start: int


@dataclass(frozen=True)
class EndpointTask:
    """What the process was asked for. `listener` is the descriptor of the public socket."""

    mesh: Path
    state: State
    listener: int


async def serve(task: EndpointTask, lifeline: Lifeline) -> None:
    """Serve until SIGTERM, SIGINT or the loss of the supervisor.

    Raises the errors of mesh.yaml, and JwtSvidError when the keys for JWT-SVIDs are broken.
    """
    config = load(task.mesh)
    table = ProcessTable()
    workloads = Workloads(table)
    authority = JwtAuthority(task.state.jwt, config.domain, time.time())
    listener = socket.socket(fileno=task.listener)
    inner = Place.of(task.state).inner
    with stop_event(lifeline) as stop, listener, Sources(config, task.state) as sources:
        async with served(listener, inner, workloads, sources.of, authority, table=table):
            following = asyncio.create_task(_follow(workloads, lifeline))
            settled()
            lifeline.report("ready")
            await stop.wait()
            following.cancel()


async def _follow(workloads: Workloads, lifeline: Lifeline) -> None:
    """Keep the table of processes as the supervisor tells it."""
    async for line in _lines():
        news = msgspec.json.decode(line, type=News)
        peer = Peer(news.pid, news.start)
        if news.event == "started":
            workloads.add(peer, news.service)
            lifeline.report("known", pid=news.pid)
        else:
            workloads.remove(peer)


async def _lines() -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            yield line
    finally:
        transport.close()


def main(argv: Sequence[str], lifeline: Lifeline) -> int:
    """A process that the supervisor starts."""
    parser = argparse.ArgumentParser(prog="meshpact.servers.workloadapi", allow_abbrev=False)
    parser.add_argument("--mesh", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--listener", type=int, required=True)
    given = parser.parse_args(argv)
    task = EndpointTask(given.mesh, State(given.state), given.listener)
    return run(serve(task, lifeline), lifeline)
