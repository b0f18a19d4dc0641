"""Local rate limits: the generic cell rate algorithm (GCRA) over one bounded dict."""

from __future__ import annotations

from threading import Lock
from typing import Final

from meshpact.interceptors import errors
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.policy import Rate

MAX_KEYS: Final = 100_000
"""Callers remembered by one limiter; past it those with nothing to remember are forgotten."""


class Gcra:
    """Lets `burst` calls of a key through at once and `requests` in every `per` seconds after.

    A key's state is one number: when its next call would be on time (the theoretical arrival
    time of ITU-T I.371).
    """

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._interval = rate.per / rate.requests
        self._tolerance = self._interval * (rate.burst - 1) + 1e-9
        self._arrivals: dict[str, float] = {}
        self._lock = Lock()

    def take(self, key: str, now: float) -> float:
        """Counts a call at a time in seconds. 0.0 when it may pass, else seconds until one may."""
        with self._lock:
            arrival = self._arrivals.get(key, now)
            if arrival < now:
                arrival = now
            wait = arrival - now - self._tolerance
            if wait > 0:
                return wait
            if len(self._arrivals) >= MAX_KEYS:
                self._forget(now)
            self._arrivals[key] = arrival + self._interval
            return 0.0

    def _forget(self, now: float) -> None:
        self._arrivals = {k: t for k, t in self._arrivals.items() if t > now}
        if len(self._arrivals) >= MAX_KEYS:
            # Everyone is over the even pace: the earliest are the least over it.
            keep = sorted(self._arrivals.items(), key=lambda item: item[1])[MAX_KEYS // 10 :]
            self._arrivals = dict(keep)


def limited(rate: Rate, wait: float) -> StatusError:
    """The refusal of a call over its rate, with the time after which one may pass."""
    limit = f"{rate.requests} calls in {rate.per:g} s (burst {rate.burst}), by {rate.by.value}"
    return StatusError(
        errors.RATE_LIMITED.code,
        f"Rate limit reached: {limit}; try again in {wait:.3f} s",
        reason=errors.RATE_LIMITED.name,
        domain=errors.DOMAIN,
        quota=(rate.by.value, limit),
        retry_after=wait,
    )
