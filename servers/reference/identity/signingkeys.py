"""The keys that sign tokens: ES256, one at a time.

A new key is published for a while before it signs, so that everybody knows it by then, and an old
one until its last token has ended: a rotation refuses nobody. The keys lie in one file (0600),
written whole; a process looks at it before each use, so that another one's rotation counts at once.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from meshpact.certs.files import private_directory, write_whole
from meshpact.interceptors.errors import MeshpactError
from reference.identity.settings import Lifetimes

ALGORITHM: Final = "ES256"
KEYS_AGE: Final = 300
"""Seconds for which others may keep the set of keys."""
LEEWAY: Final = 60.0
"""Seconds added to each wait, for clocks that differ."""
PATIENCE: Final = 5.0
"""Seconds to wait for another process that changes the keys."""


class KeyFileError(MeshpactError):
    """The file of keys cannot be used; says which one, why, and what to do."""


class _Kept(msgspec.Struct, frozen=True):
    pem: str
    signs_from: float


class _File(msgspec.Struct, frozen=True):
    keys: tuple[_Kept, ...]


class _Seen(NamedTuple):
    """What was read: the time and inode of the file, the keys in order, each by its PEM."""

    file: tuple[int, int]
    kept: tuple[_Kept, ...]
    keys: dict[str, ECKey]


class SigningKeys:
    """The keys of one folder (0700), made when there are none.

    `lifetime` is that of a token, `clock` counts seconds since the epoch.
    """

    def __init__(
        self, folder: Path, *, lifetime: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = private_directory(folder)
        self._path = folder / "keys.json"
        self._lifetime = lifetime
        self._clock = clock
        self._seen = _Seen((-1, -1), (), {})
        self._verifying: tuple[list[ECKey], KeySet] | None = None
        if not self._path.exists():
            self._change(lambda kept: kept or (self._made(clock()),))

    def signing(self) -> ECKey:
        """The private key that signs now."""
        seen = self._look()
        begun = [each for each in seen.kept if each.signs_from <= self._clock()]
        return seen.keys[(begun[-1] if begun else seen.kept[0]).pem]

    def published(self) -> list[dict[str, object]]:
        """The public keys (RFC 7517) of all tokens that may still be good."""
        return [
            {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM}
            for key in self._good()
        ]

    def verifying(self) -> KeySet:
        """The same keys, to verify with."""
        good = self._good()
        if self._verifying is None or self._verifying[0] != good:
            keys = {"keys": self.published()}
            self._verifying = good, KeySet.import_key_set(keys)  # type: ignore[arg-type]
        return self._verifying[1]

    def age(self) -> float:
        """Seconds since the newest key began to sign; negative while it is only published."""
        return self._clock() - self._look().kept[-1].signs_from

    def rotate(self) -> str:
        """Publishes a new key, which signs as soon as everybody must have seen it. Its ID."""

        def change(kept: tuple[_Kept, ...]) -> tuple[_Kept, ...]:
            needed = [each for each, end in _ends(kept) if end + self._after > self._clock()]
            return (*needed, self._made(self._clock() + KEYS_AGE + LEEWAY))

        seen = self._change(change)
        return str(seen.keys[seen.kept[-1].pem].thumbprint())

    def drop(self, kid: str) -> bool:
        """Takes a key back at once, whatever it has signed, as when it was stolen.

        If it signs now, the next or a new one does from here on, and whoever does not know that
        one yet refuses its tokens until they ask again. Says whether there was such a key.
        """
        known = self._look().keys.items()
        stolen = next((pem for pem, key in known if key.thumbprint() == kid), None)
        if stolen is None:
            return False

        def change(kept: tuple[_Kept, ...]) -> tuple[_Kept, ...]:
            now = self._clock()
            old = [each for each in kept if each.signs_from <= now]
            waiting = [each for each in kept if each.signs_from > now and each.pem != stolen]
            if old and old[-1].pem == stolen:
                first = waiting[0] if waiting else self._made(now)
                waiting = [msgspec.structs.replace(first, signs_from=now), *waiting[1:]]
            return (*(each for each in old if each.pem != stolen), *waiting)

        self._change(change)
        return True

    def _good(self) -> list[ECKey]:
        seen, now = self._look(), self._clock()
        return [seen.keys[kept.pem] for kept, end in _ends(seen.kept) if end + self._after > now]

    @property
    def _after(self) -> float:
        """Seconds for which a key is published after it has ceased to sign."""
        return self._lifetime + LEEWAY

    @staticmethod
    def _made(signs_from: float) -> _Kept:
        return _Kept(ECKey.generate_key("P-256").as_pem(private=True).decode(), signs_from)

    def _look(self) -> _Seen:
        """The keys as they are now. Safe for threads: what was seen is replaced in one go."""
        before = self._seen
        try:
            found = self._path.stat()
            file = (found.st_mtime_ns, found.st_ino)
            if file == before.file:
                return before
            if found.st_mode & 0o077:
                raise KeyFileError(f"{self._path} can be read by others: chmod 600 {self._path}")
            kept = self._read()
            keys = {each.pem: before.keys.get(each.pem) or _key(each.pem) for each in kept}
        except (OSError, msgspec.DecodeError, JoseError, ValueError) as error:
            raise self._damaged(error) from None
        self._seen = seen = _Seen(file, kept, keys)
        return seen

    def _read(self) -> tuple[_Kept, ...]:
        kept = msgspec.json.decode(self._path.read_bytes(), type=_File).keys
        if not kept:
            raise ValueError("no keys")
        return kept

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keeps other processes from changing the keys meanwhile. KeyFileError after PATIENCE."""
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            until = time.monotonic() + PATIENCE
            while not _taken(descriptor):
                if time.monotonic() >= until:
                    raise KeyFileError(f"{self._path} is in use by another process: try again")
                time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)

    def _change(self, change: Callable[[tuple[_Kept, ...]], tuple[_Kept, ...]]) -> _Seen:
        try:
            with self.locked():
                for left in self._folder.glob(f".{self._path.name}.*.tmp"):
                    left.unlink()  # half a file of keys, by a process that was killed
                kept = change(self._read() if self._path.exists() else ())
                write_whole(self._path, msgspec.json.encode(_File(kept)))
        except OSError as error:
            raise KeyFileError(
                f"{self._path} cannot be changed ({error.strerror}): make room, or let the service "
                f"write in {self._folder}; the keys are as they were"
            ) from None
        except (msgspec.DecodeError, ValueError) as error:
            raise self._damaged(error) from None
        return self._look()

    def _damaged(self, error: Exception) -> KeyFileError:
        return KeyFileError(
            f"{self._path} holds no signing keys ({type(error).__name__}): put the right file "
            "back, or remove it to start with a new key (tokens issued before end then)"
        )

    def __repr__(self) -> str:
        return "SigningKeys()"


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def keys_of(
    state: Path, *, lifetime: float = Lifetimes.access, clock: Callable[[], float] = time.time
) -> SigningKeys:
    """The keys in the state directory of a mesh."""
    return SigningKeys(state / "identity" / "keys", lifetime=lifetime, clock=clock)


def _ends(kept: tuple[_Kept, ...]) -> list[tuple[_Kept, float]]:
    """Each key with the time when it ceases to sign: when the next one begins."""
    begins = [each.signs_from for each in kept[1:]]
    return list(zip(kept, [*begins, math.inf], strict=True))


def _key(pem: str) -> ECKey:
    return ECKey.import_key(pem)
