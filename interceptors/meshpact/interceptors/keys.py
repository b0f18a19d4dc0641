"""Where the keys of token issuers come from (JWK sets, RFC 7517): the Protocol, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from meshpact.interceptors.errors import MeshpactError


class KeysError(MeshpactError):
    """A key set cannot be read: no token of its issuer can be verified."""


class KeySource(Protocol):
    """The keys of one issuer. `current` never waits; `refresh` may."""

    def current(self) -> KeySet | None:
        """The keys known now, None when there are none yet."""
        ...

    def stale(self, key_id: str) -> bool:
        """Whether a refresh may bring what `current` lacks."""
        ...

    def refresh(self) -> None:
        """Reads the keys anew; keeps the old ones when that fails. Blocks."""
        ...

    async def refresh_async(self) -> None:
        """The same without blocking the loop; callers at once share one fetch."""
        ...


class FileKeys:
    """Keys in a file (a JWK set), read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._keys: KeySet | None = None
        self.refresh()

    def current(self) -> KeySet | None:
        """The keys known now."""
        return self._keys

    def stale(self, key_id: str) -> bool:
        """Whether the file is another one than the one read."""
        return self._stat() != self._stamp

    def refresh(self) -> None:
        """Reads the file; a bad one leaves the keys as they are. Raises KeysError without keys."""
        stamp = self._stat()
        try:
            self._keys = parse_keys(self._path.read_bytes())
            self._stamp = stamp
        except (OSError, KeysError) as error:
            if self._keys is None:
                raise KeysError(f"{self._path}: {error}") from error

    async def refresh_async(self) -> None:
        """Reads the file: it is small and local."""
        self.refresh()

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


def parse_keys(content: bytes) -> KeySet:
    """The keys of a JWK set document. Raises KeysError."""
    try:
        document = msgspec.json.decode(content, type=_Document)
        keys = KeySet.import_key_set({"keys": document.keys})
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, JoseError) as error:
        raise KeysError(f"not a JWK set: {error}") from error
    if any(getattr(key, "is_private", False) for key in keys.keys):
        raise KeysError("the key set holds private keys; publish public ones only")
    return keys
