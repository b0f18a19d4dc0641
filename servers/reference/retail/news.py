"""Wakes those in this process who wait for something to be written."""

from __future__ import annotations

import asyncio


class News:
    """A bell. Take `since` before looking; `heard` returns at once if it was rung after that."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Tells that something was written."""
        self._event.set()
        self._event = asyncio.Event()

    def since(self) -> asyncio.Event:
        """The moment after which news count."""
        return self._event

    async def heard(self, since: asyncio.Event, patience: float) -> bool:
        """Waits for news since that moment; False when none came within `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                await since.wait()
        except TimeoutError:
            return False
        return True
