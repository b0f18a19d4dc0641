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
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import TrustDomain
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

    state: State
    trust_domain: TrustDomain
    listener: int


async def serve(task: EndpointTask, lifeline: Lifeline) -> None:
    """Serve until SIGTERM, SIGINT or the loss of the supervisor."""
    table = ProcessTable()
    workloads = Workloads(table)
    authority = JwtAuthority(task.state.jwt, task.trust_domain, time.time())
    sources: dict[str, FileSource] = {}

    def source(service: str) -> FileSource:
        if service not in sources:
            sources[service] = FileSource(task.state.identity(service), task.state.trust)
        return sources[service]

    listener = socket.socket(fileno=task.listener)
    inner = Place.of(task.state).inner
    with stop_event(lifeline) as stop, listener:
        async with served(listener, inner, workloads, source, authority, table=table):
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
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--trust-domain", type=TrustDomain, required=True)
    parser.add_argument("--listener", type=int, required=True)
    given = parser.parse_args(argv)
    task = EndpointTask(State(given.state), given.trust_domain, given.listener)
    return run(serve(task, lifeline), lifeline)
