"""LISTEN on Postgres: one connection a process that hears what any process committed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from meshpact.servers.storage.signals import Signals

log = logging.getLogger(__name__)

PAUSE: Final = 0.1
"""Seconds before the second try to connect; each further pause is twice as long."""
PAUSE_AT_MOST: Final = 5.0


class Listener:
    """Hears channels, and passes on what is said to `signals`. `engine` makes its connection.

    While it has no connection nothing is heard: all signals are set once it has one again.
    """

    def __init__(self, engine: Callable[[], AsyncEngine], schema: str, signals: Signals) -> None:
        self._make = engine
        self._schema = schema
        self._signals = signals
        self._channels: dict[str, str] = {}
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def name(self, channel: str) -> str:
        """The channel's name on the server, which knows no schemas of channels."""
        whole = f"{self._schema}.{channel}"
        return "meshpact_" + hashlib.sha256(whole.encode()).hexdigest()[:40]

    def want(self, channel: str) -> None:
        """Hears a channel from now on."""
        name = self.name(channel)
        if name not in self._channels:
            self._channels[name] = channel
            self._wanted.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="postgres-listener")

    async def close(self) -> None:
        """Ends the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause = PAUSE
        while True:
            engine = self._make()
            try:
                async with engine.connect() as connection:
                    raw: Any = (await connection.get_raw_connection()).driver_connection
                    pause = PAUSE
                    await self._hear(raw)
            except Exception as error:
                log.info("not listening to the database: %s", error)
            finally:
                await engine.dispose()
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_AT_MOST)

    async def _hear(self, raw: Any) -> None:
        """Listens until the connection is lost."""
        lost, heard = asyncio.Event(), set[str]()

        def on_end(_connection: object) -> None:
            lost.set()

        raw.add_termination_listener(on_end)
        ended = asyncio.create_task(lost.wait())
        try:
            while not lost.is_set():
                self._wanted.clear()
                for name in self._channels.keys() - heard:
                    await raw.add_listener(name, self._said)
                    heard.add(name)
                self._signals.say_all()
                wanted = asyncio.create_task(self._wanted.wait())
                await asyncio.wait({ended, wanted}, return_when=asyncio.FIRST_COMPLETED)
                wanted.cancel()
        finally:
            ended.cancel()
            with contextlib.suppress(Exception):
                raw.remove_termination_listener(on_end)

    def _said(self, _connection: object, _pid: int, name: str, _payload: object) -> None:
        if channel := self._channels.get(name):
            self._signals.say([channel])
