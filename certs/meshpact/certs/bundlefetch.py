"""Where the bundle document of a trust domain comes from: a file, or an https endpoint.

The endpoint is one of the profile https_web (SPIFFE Federation, section 5.2.1): authenticated by
the web's PKI. Bounded in size and time, and never redirected.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from meshpact.certs.bundledocument import MAX_BYTES
from meshpact.certs.errors import SourceError

if TYPE_CHECKING:
    import ssl

FETCH_SECONDS: Final = 10.0
"""How long one fetch may take."""

SILENCE: Final = 5.0
"""How long the other side may say nothing while one is under way."""

_OK: Final = 200


class Place(Protocol):
    """Gives the bytes of a document."""

    def read(self) -> bytes:
        """The document as it is now. SourceError `unreadable` or `size`."""
        ...

    def fingerprint(self) -> object:
        """Something cheap that changes with the document; None where it must be read to know."""
        ...


class FilePlace:
    """A document in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def fingerprint(self) -> object:
        """Time, size and inode of the file."""
        try:
            stat = self._path.stat()
        except OSError:
            return "missing"
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def read(self) -> bytes:
        """The content of the file."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise SourceError(
                "unreadable", f"{self._path} cannot be read: {error.strerror}"
            ) from None
        _bounded(data, str(self._path))
        return data


class WebPlace:
    """A document at an https address. `trust` replaces the web's roots, for tests and intranets."""

    def __init__(self, url: str, *, trust: ssl.SSLContext | None = None) -> None:
        if not is_https(url):
            raise SourceError(
                "address",
                f"{url[:200]!a} is no address of a bundle: write https://HOST/PATH, without a user",
            )
        self._url = url
        self._trust = trust

    def __str__(self) -> str:
        return self._url

    def fingerprint(self) -> object:
        """An address must be asked."""
        return None

    def read(self) -> bytes:
        """The body of the answer."""
        # httpx takes long to import: only who has federated domains on the web pays for it.
        import httpx

        verify = True if self._trust is None else self._trust
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        end = time.monotonic() + FETCH_SECONDS
        data = bytearray()
        try:
            with (
                httpx.Client(timeout=SILENCE, verify=verify) as client,
                client.stream("GET", self._url, headers=headers) as response,
            ):
                if response.status_code != _OK:
                    raise SourceError(
                        "unreadable",
                        f"{self._url} answers {response.status_code}: {_OK} is needed, without "
                        "redirection",
                    )
                for part in response.iter_raw():
                    data += part
                    _bounded(data, self._url)
                    if time.monotonic() > end:
                        raise SourceError(
                            "unreadable",
                            f"{self._url} takes longer than {FETCH_SECONDS:g} s to answer",
                        )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise SourceError(
                "unreadable",
                f"{self._url} cannot be fetched: {str(error)[:300] or type(error).__name__}",
            ) from None
        return bytes(data)


def is_https(url: str) -> bool:
    """Whether a text is an https address without a user (SPIFFE Federation, section 5.1.1)."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "https"
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and parts.port != 0
            and not parts.fragment
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        return False


def _bounded(data: bytes | bytearray, place: str) -> None:
    if len(data) > MAX_BYTES:
        raise SourceError("size", f"{place} is larger than {MAX_BYTES} bytes")
