"""LISTEN on Postgres: one connection a process that hears what any process committed."""

from __future__ import annotations

import asyncio
import contextvars
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
QUIET: Final = 5.0
"""Seconds without a word after which the server is asked whether it is there."""
ANSWER_WITHIN: Final = 5.0
"""Seconds that it has to answer; a host that vanished never says that it did."""


class Listener:
    """Hears channels, and passes on what is said to `signals`. `engine` makes its connection.

    While it has no connection nothing is heard: all signals are set once it has one again.
    `silent` ends all connections; it is called when the server vanished without doing so.
    """

    def __init__(
        self,
        engine: Callable[[], AsyncEngine],
        schema: str,
        signals: Signals,
        silent: Callable[[], None],
    ) -> None:
        self._make = engine
        self._silent = silent
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
            # In no call: it is nobody's, and outlives the call that listened first.
            self._task = asyncio.create_task(
                self._run(), name="postgres-listener", context=contextvars.Context()
            )

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
                log.info("not listening to the database: %s", str(error) or type(error).__name__)
                if isinstance(error, TimeoutError):
                    self._silent()
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
                new = self._channels.keys() - heard
                for name in new:
                    await raw.add_listener(name, self._said)
                heard |= new
                if new:
                    self._signals.say_all()
                wanted = asyncio.create_task(self._wanted.wait())
                try:
                    await asyncio.wait(
                        {ended, wanted}, timeout=QUIET, return_when=asyncio.FIRST_COMPLETED
                    )
                    if not (wanted.done() or ended.done()):
                        await self._ask(raw)
                finally:
                    wanted.cancel()
        finally:
            ended.cancel()
            raw.terminate()  # a good end waits for an answer, which may never come

    async def _ask(self, raw: Any) -> None:
        try:
            await raw.execute("SELECT 1", timeout=ANSWER_WITHIN)
        except TimeoutError:
            log.warning("the database has fallen silent: connecting anew")
            raise

    def _said(self, _connection: object, _pid: int, name: str, _payload: object) -> None:
        if channel := self._channels.get(name):
            self._signals.say([channel])
