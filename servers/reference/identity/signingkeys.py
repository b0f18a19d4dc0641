"""The keys that sign tokens: ES256, one at a time, each published until its last token has ended.

They lie in one file (0600), written whole. A process looks at it before each use, so that a
rotation by another one counts at once.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from meshpact.certs.files import private_directory, write_whole

ALGORITHM: Final = "ES256"
LEEWAY: Final = 60.0
"""Seconds for which a key is published beyond its last token's end."""


class KeyFileError(Exception):
    """The file of keys cannot be used; says which one, why, and what to do."""


class _Kept(msgspec.Struct, frozen=True):
    pem: str
    made: float
    retired: float | None = None


class _File(msgspec.Struct, frozen=True):
    keys: tuple[_Kept, ...]


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
        self._seen = (-1, -1)
        self._kept: tuple[_Kept, ...] = ()
        self._keys: dict[str, ECKey] = {}
        if not self._path.exists():
            self._change(lambda kept: kept or (self._made(),))

    def signing(self) -> ECKey:
        """The private key that signs now."""
        self._look()
        newest = next(kept for kept in reversed(self._kept) if kept.retired is None)
        return self._keys[newest.pem]

    def published(self) -> list[dict[str, object]]:
        """The public keys (RFC 7517) of all tokens that may still be good."""
        return [
            {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM}
            for key in self._good()
        ]

    def verifying(self) -> KeySet:
        """The same keys, to verify with."""
        return KeySet.import_key_set({"keys": self.published()})  # type: ignore[typeddict-item]

    def age(self) -> float:
        """Seconds since the signing key was made."""
        self._look()
        return self._clock() - self._kept[-1].made

    def rotate(self) -> str:
        """Lets a new key sign; the old one is published until its tokens have ended. The new ID."""
        now = self._clock()

        def change(kept: tuple[_Kept, ...]) -> tuple[_Kept, ...]:
            old = (
                msgspec.structs.replace(each, retired=now) if each.retired is None else each
                for each in kept
                if self._needed(each)
            )
            return (*old, self._made())

        self._change(change)
        return str(self.signing().thumbprint())

    def drop(self, kid: str) -> bool:
        """Takes a key back at once, whatever it has signed, as when it was stolen.

        If it signs now, a new one does from here on. Says whether there was such a key.
        """
        self._look()
        stolen = next((pem for pem, key in self._keys.items() if key.thumbprint() == kid), None)
        if stolen is None:
            return False

        def change(kept: tuple[_Kept, ...]) -> tuple[_Kept, ...]:
            left = tuple(each for each in kept if each.pem != stolen)
            signs = any(each.retired is None for each in left)
            return left if signs else (*left, self._made())

        self._change(change)
        return True

    def _good(self) -> list[ECKey]:
        self._look()
        return [self._keys[kept.pem] for kept in self._kept if self._needed(kept)]

    def _needed(self, kept: _Kept) -> bool:
        return kept.retired is None or kept.retired + self._lifetime + LEEWAY > self._clock()

    def _made(self) -> _Kept:
        return _Kept(ECKey.generate_key("P-256").as_pem(private=True).decode(), self._clock())

    def _look(self) -> None:
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ino)
            if seen == self._seen:
                return
            if found.st_mode & 0o077:
                raise KeyFileError(f"{self._path} can be read by others: chmod 600 {self._path}")
            kept = self._read()
            keys = {each.pem: self._keys.get(each.pem) or _key(each.pem) for each in kept}
        except (OSError, msgspec.DecodeError, JoseError, ValueError) as error:
            raise KeyFileError(
                f"{self._path} holds no signing keys ({type(error).__name__}): put the right file "
                "back, or remove it to start with a new key (tokens issued before end then)"
            ) from None
        self._kept, self._keys, self._seen = kept, keys, seen

    def _read(self) -> tuple[_Kept, ...]:
        kept = msgspec.json.decode(self._path.read_bytes(), type=_File).keys
        if not any(each.retired is None for each in kept):
            raise ValueError("no key signs")
        return kept

    def _change(self, change: Callable[[tuple[_Kept, ...]], tuple[_Kept, ...]]) -> None:
        with self._locked():
            kept = change(self._read() if self._path.exists() else ())
            write_whole(self._path, msgspec.json.encode(_File(kept)))
        self._look()

    @contextmanager
    def _locked(self) -> Generator[None]:
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def __repr__(self) -> str:
        return "SigningKeys()"


def _key(pem: str) -> ECKey:
    return ECKey.import_key(pem)
