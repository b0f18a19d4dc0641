"""Twenty thousand calls of every shape and every end leave nothing behind, on either side."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import tlsworld
from demo.v1 import demo_mesh, demo_pb2
from demoservice import Demo
from meshpact.clients import CallError
from meshpact.servers import Drain, Server

CALLS = 20_000
WORKERS = 32
PATIENCE = 30.0
"""Seconds after which what is still open is a leak: calls end in the background."""
ALLOWED_GROWTH = 16 * 1024 * 1024
"""Bytes of resident memory that allocators may keep; one leaked call object is more than 1 KiB."""


async def words(*texts: str) -> AsyncIterator[demo_pb2.ChatRequest]:
    for text in texts:
        yield demo_pb2.ChatRequest(text=text)


async def unary(demo: demo_mesh.DemoServiceClient) -> None:
    await demo.echo(demo_pb2.EchoRequest(text="a"))


async def failed(demo: demo_mesh.DemoServiceClient) -> None:
    with pytest.raises(demo_mesh.BadWord):
        await demo.echo(demo_pb2.EchoRequest(text="bad"))


async def refused(demo: demo_mesh.DemoServiceClient) -> None:
    with pytest.raises(CallError):
        await demo.register(demo_pb2.RegisterRequest())


async def left_early(demo: demo_mesh.DemoServiceClient) -> None:
    stream: Any = demo.count(demo_pb2.CountRequest(to=10))
    await anext(stream)
    await stream.aclose()


async def conversed(demo: demo_mesh.DemoServiceClient) -> None:
    assert [r.text async for r in demo.chat(words("a", "b"))] == ["a", "b"]


async def cancelled(demo: demo_mesh.DemoServiceClient) -> None:
    task = asyncio.create_task(demo.whisper(demo_pb2.WhisperRequest(answer_bytes=1)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


# Of each ten calls, so many end so.
MIX = (unary, unary, unary, unary, failed, refused, left_early, conversed, cancelled, unary)


async def run(demo: demo_mesh.DemoServiceClient, calls: int) -> None:
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            await MIX[number % len(MIX)](demo)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))


async def open_things() -> tuple[int, int]:
    """(tasks, open descriptors), once they stay as they are."""
    seen: list[tuple[int, int]] = []
    while len(seen) < 20 or len(set(seen[-20:])) > 1:
        await asyncio.sleep(0.01)
        seen.append((len(asyncio.all_tasks()), descriptors()))
    return seen[-1]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def memory() -> int:
    """Resident bytes."""
    gc.collect()
    return psutil.Process(os.getpid()).memory_info().rss


@pytest.mark.timeout(300)
async def test_twenty_thousand_calls_leak_no_task_descriptor_or_memory() -> None:
    servicer = Demo()
    server = Server(
        identity=tlsworld.identity(tlsworld.SERVER),
        guard=tlsworld.guard(),
        drain=Drain(quiet=0.02, grace=2.0),
    )
    server.add(servicer)
    async with server, tlsworld.channel(server.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        await run(demo, 2_000)
        servicer.calls.clear()
        (tasks, opened), resident = await open_things(), memory()
        await run(demo, CALLS)
        servicer.calls.clear()
        until = asyncio.get_running_loop().time() + PATIENCE
        after = await open_things()
        while (after[0] > tasks or after[1] > opened) and asyncio.get_running_loop().time() < until:
            after = await open_things()
        assert after[0] <= tasks
        assert after[1] <= opened
        assert memory() < resident + ALLOWED_GROWTH
