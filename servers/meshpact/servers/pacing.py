"""Bounds how fast messages come within streams; the calls themselves have the contract's `rate`."""

from __future__ import annotations

import asyncio

from meshpact.interceptors.policy import Rate, RateKey
from meshpact.interceptors.rate import Gcra


class Pace:
    """Lets `burst` messages of a key through at once, and `messages` in every `per` seconds after.

    It counts in this process, by the event loop's clock, for a bounded number of keys.
    """

    def __init__(self, messages: int, per: float, *, burst: int) -> None:
        for what, value in (("messages", messages), ("per", per), ("burst", burst)):
            if not value > 0:
                raise ValueError(f"{what} is {value!r}; allowed: more than 0")
        self._gcra = Gcra(Rate(messages, per, burst, RateKey.METHOD))

    def take(self, key: str) -> float:
        """Counts one message. 0.0 when it may pass, else the seconds until one may."""
        return self._gcra.take(key, asyncio.get_running_loop().time())
