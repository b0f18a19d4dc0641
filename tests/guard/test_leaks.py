"""Twenty thousand calls on threads, and hostile ones on both kinds, leave nothing behind."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Final

import psutil
import pytest

from guard.scripted import KEY, SERVICE, Script, message, path, servicer
from guard.situations import ALL_SHAPES, KINDS, ROLE
from meshpact.interceptors.timed import MAX_OVERRUNNING
from meshpact.servers.sync import THREADS
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawwire import RawConnection, grpc_message

CALLS: Final = 20_000
HOSTILE: Final = 5_000
AT_ONCE: Final = 20
WARM_UP: Final = 2_000
PATIENCE: Final = 30.0
"""Seconds after which what is still open is a leak."""
MEMORY: Final = 24 * 1024 * 1024
"""Bytes of resident memory that allocators may keep: under 1.2 KiB for each call."""
OBJECTS: Final = 4_000
"""Tracked objects that may come and stay: far less than one for each call."""

Open = Callable[[RawConnection, int], int]


def honest(wire: RawConnection, number: int) -> int:
    shape = ALL_SHAPES[number % len(ALL_SHAPES)]
    stream = wire.open(path(shape))
    wire.send(stream, message(shape, KEY), end=True)
    return stream


def unknown(wire: RawConnection, number: int) -> int:
    stream = wire.open(f"{SERVICE}/Nothing{number}")
    wire.send(stream, message("unary", KEY), end=True)
    return stream


def malformed(wire: RawConnection, number: int) -> int:
    stream = wire.open(path(ALL_SHAPES[number % len(ALL_SHAPES)]))
    wire.send(stream, grpc_message(b"\xff" * (number % 50 + 1)), end=True)
    return stream


def bad_metadata(wire: RawConnection, number: int) -> int:
    stream = wire.open(path("unary"), ((f"x-{number}", b"\0"),))
    wire.send(stream, message("unary", KEY), end=True)
    return stream


def given_up(wire: RawConnection, number: int) -> int:
    stream = wire.open(path(ALL_SHAPES[number % len(ALL_SHAPES)]))
    wire.send(stream, message(ALL_SHAPES[number % len(ALL_SHAPES)], KEY))
    wire.reset(stream)
    return stream


MIX: Final[tuple[Open, ...]] = (honest, honest, honest, honest, unknown, malformed, given_up)
HOSTILE_MIX: Final[tuple[Open, ...]] = (unknown, malformed, bad_metadata, given_up)


def run(bench: Workbench, port: int, mix: tuple[Open, ...], calls: int) -> None:
    done = 0
    while done < calls:
        with bench.connect(port, "caller") as wire:
            for _ in range(min(10, -(-(calls - done) // AT_ONCE))):
                kinds = [(mix[n % len(mix)], n) for n in range(done, done + AT_ONCE)]
                streams = [(kind, kind(wire, number)) for kind, number in kinds]
                for kind, stream in streams:
                    answer = wire.answer(stream, 0.0 if kind is given_up else 30.0)
                    assert kind is given_up or answer.code is not None, str(answer)
                done += AT_ONCE


def state(descriptors: int = 0) -> tuple[int, int, int, int]:
    """(threads, descriptors, resident bytes, tracked objects) once things are quiet, and no more
    than `descriptors` are left unless they stay."""
    seen: list[int] = []
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:  # closed connections are let go of in the background
        gc.collect()
        seen.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208
        quiet = len(seen) > 5 and len(set(seen[-5:])) == 1
        if quiet and (not descriptors or seen[-1] <= descriptors):
            break
        time.sleep(0.05)
    rss = psutil.Process().memory_info().rss
    return threading.active_count(), seen[-1], rss, len(gc.get_objects())


def check(kind: Kind, mix: tuple[Open, ...], calls: int) -> None:
    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): {ROLE}})
        with bench.serving(kind, lambda: [servicer(kind, Script())]) as port:
            run(bench, port, mix, WARM_UP)
            threads, descriptors, memory, objects = state()
            run(bench, port, mix, calls)
            after = state(descriptors + 4)
            assert after[0] <= max(threads + 2, 2 * THREADS + MAX_OVERRUNNING + 8)
            assert after[1] <= descriptors + 4
            assert after[2] <= memory + MEMORY
            assert after[3] <= objects + OBJECTS


@pytest.mark.timeout(300)
def test_twenty_thousand_calls_on_threads_leave_nothing_behind() -> None:
    check("sync", MIX, CALLS)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_calls_leave_nothing_behind(kind: Kind) -> None:
    check(kind, HOSTILE_MIX, HOSTILE)
