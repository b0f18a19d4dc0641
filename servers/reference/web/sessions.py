"""Who is signed in at a site: kept in its memory, found by the hash of a random cookie.

A restart signs everybody out of the site; whoever is still signed in at the issuer comes back by
one redirect.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MOST: Final = 10_000


@dataclass
class _Kept(Generic[T]):
    value: T
    owner: str
    made: float
    used: float


class Kept(Generic[T]):
    """Values by secret names; each ends after `idle` seconds without use, and after `whole`.

    At most `most` are kept: the one unused for longest goes first; and at most `each` of one owner:
    the oldest goes. `dropped` is told those that end so, not those that were taken out. `clock`
    counts seconds.
    """

    def __init__(
        self,
        *,
        idle: float,
        whole: float,
        clock: Callable[[], float],
        most: int = MOST,
        each: int = MOST,
        dropped: Callable[[T], None] = lambda _: None,
    ) -> None:
        self._idle = idle
        self._whole = whole
        self._clock = clock
        self._most = most
        self._each = each
        self._dropped = dropped
        self._kept: OrderedDict[bytes, _Kept[T]] = OrderedDict()
        self._owned: defaultdict[str, dict[bytes, None]] = defaultdict(dict)

    def add(self, value: T, owner: str = "") -> str:
        """Keeps a value; gives its new name, 256 random bits."""
        name = secrets.token_urlsafe(32)
        now = self._clock()
        while self._kept and now - next(iter(self._kept.values())).used >= self._idle:
            self._drop(next(iter(self._kept)))
        self._kept[_digest(name)] = _Kept(value, owner, now, now)
        owned = self._owned[owner]
        owned[_digest(name)] = None
        if len(owned) > self._each:
            self._drop(next(iter(owned)))
        if len(self._kept) > self._most:
            self._drop(next(iter(self._kept)))
        return name

    def get(self, name: str) -> T | None:
        """The value, None when there is none (any more). It is used by that."""
        key = _digest(name)
        kept = self._kept.get(key)
        if kept is None:
            return None
        now = self._clock()
        if now - kept.used >= self._idle or now - kept.made >= self._whole:
            self._drop(key)
            return None
        kept.used = now
        self._kept.move_to_end(key)
        return kept.value

    def take(self, name: str) -> T | None:
        """As `get`, and it is kept no longer."""
        value = self.get(name)
        if value is not None:
            self._out(_digest(name))
        return value

    def _drop(self, key: bytes) -> None:
        self._dropped(self._out(key))

    def _out(self, key: bytes) -> T:
        kept = self._kept.pop(key)
        owned = self._owned[kept.owner]
        del owned[key]
        if not owned:
            del self._owned[kept.owner]
        return kept.value

    def __len__(self) -> int:
        return len(self._kept)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
