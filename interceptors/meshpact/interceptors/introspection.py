"""Opaque tokens: their issuer is asked (RFC 7662), and its answers count for a short while."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar
from urllib.parse import quote

from meshpact.interceptors.background import Landing
from meshpact.interceptors.fetch import TIMEOUT, Verify, fetch, shown
from meshpact.interceptors.keyring import KeysError
from meshpact.interceptors.strictjson import parse_object
from meshpact.interceptors.tokens import Answer

log = logging.getLogger("meshpact.keys")

REMEMBERED: Final = 30.0
"""Seconds for which an issuer's word about a token counts: so late may a revocation be noticed."""
REFUSED: Final = 5.0
"""Seconds for which a token is not asked about again that was not active."""
PAUSE: Final = 2.0
"""Seconds without questions after one that failed; where the issuer did answer, and not to the
question, without questions about that token: nobody keeps others waiting by a token of his own."""
AT_ONCE: Final = 64
"""Questions under way; further calls are refused until one has ended."""
ENTRIES: Final = 10_000
MAX_BYTES: Final = 64 * 1024
_ANSWERED: Final = (200, 400, 413, 414, 422, 500)
"""What may come of a token; of whoever asks, or of the issuer as a whole, comes another status."""


class _Unclear(KeysError):
    """The issuer answered, but not whether this token is active."""


class Introspection:
    """Asks one issuer about tokens, as a client of its (HTTP Basic, RFC 6749 section 2.3.1).

    KeysError when the secret's file cannot be used. The file is read for each question, so that a
    new secret counts at once.
    """

    def __init__(
        self,
        issuer: str,
        url: str,
        client_id: str,
        secret_file: Path,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        verify: Verify = True,
        timeout: float = TIMEOUT,
    ) -> None:
        read_secret(secret_file)
        self.issuer = issuer
        self._url = url
        self._client_id = client_id
        self._secret_file = secret_file
        self._wall = wall
        self._clock = clock
        self._verify = verify
        self._timeout = timeout
        self._active: dict[bytes, Answer] = {}
        self._refused: dict[bytes, Answer] = {}
        self._unclear: dict[bytes, float] = {}
        self._asked: dict[bytes, Landing] = {}
        self._paused = float("-inf")
        self._problem = ""
        self._lock = Lock()

    def answer(self, digest: bytes) -> Answer | None:
        """What the issuer said of a token, for as long as it counts."""
        found = self._active.get(digest) or self._refused.get(digest)
        return found if found is not None and self._wall() < found.until else None

    def question(self, token: str, digest: bytes) -> Landing | None:
        """The question about a token, shared by all who ask it; None when none can be asked now."""
        with self._lock:
            known = self._asked.get(digest)
            if known is not None:
                return known
            paused = max(self._paused, self._unclear.get(digest, self._paused))
            if self._clock() < paused or len(self._asked) >= AT_ONCE:
                return None
            asked = self._asked[digest] = Landing(self._ask(token, digest))
            return asked

    async def _ask(self, token: str, digest: bytes) -> None:
        try:
            answer = await self._answered(token)
            with self._lock:
                self._active.pop(digest, None)
                self._refused.pop(digest, None)
                self._unclear.pop(digest, None)
                _keep(self._refused if answer.claims is None else self._active, digest, answer)
            if self._problem:
                log.info("%s answers again", shown(self._url))
            self._problem = ""
        except Exception as error:
            until = self._clock() + PAUSE
            if isinstance(error, _Unclear):
                with self._lock:
                    self._unclear.pop(digest, None)
                    _keep(self._unclear, digest, until)
            else:
                self._paused = until
            problem = str(error) if isinstance(error, KeysError) else type(error).__name__
            if problem != self._problem:
                log.warning("tokens cannot be asked about: %s", problem)
            self._problem = problem
        finally:
            with self._lock:
                self._asked.pop(digest, None)

    async def _answered(self, token: str) -> Answer:
        secret = read_secret(self._secret_file)
        found = await fetch(
            self._url,
            MAX_BYTES,
            verify=self._verify,
            within=self._timeout,
            form={"token": token, "token_type_hint": "access_token"},
            user=(quote(self._client_id, safe=""), quote(secret, safe="")),
            statuses=_ANSWERED,
        )
        if found.status != _ANSWERED[0]:
            raise _Unclear(f"{shown(self._url)} answered {found.status}")
        try:
            said = parse_object(found.content)
        except ValueError as error:
            raise _Unclear(f"{shown(self._url)} sent no answer: {error}") from None
        active = said.get("active")
        if not isinstance(active, bool):
            raise _Unclear(f"{shown(self._url)} does not say whether the token is active")
        now = self._wall()
        return Answer(said, now + REMEMBERED) if active else Answer(None, now + REFUSED)

    def __repr__(self) -> str:
        return f"Introspection({self.issuer})"


V = TypeVar("V")


def _keep(kept: dict[bytes, V], digest: bytes, value: V) -> None:
    """Remembers a value that is new; the oldest makes room for it."""
    if len(kept) >= ENTRIES:
        del kept[next(iter(kept))]
    kept[digest] = value


def read_secret(path: Path) -> str:
    """A client's secret from a file that only its owner can read or write. Raises KeysError."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeysError(
                    f"{path} has the mode {mode:04o}, so that others than its owner can get at the "
                    f"secret; 0600 is allowed. Run chmod 600 {path}"
                )
            secret = file.read(4097).decode("utf-8").strip("\r\n")
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeysError(f"{path} holds no text; the client's secret is expected, alone") from None
    if not secret or len(secret) > 4096 or not secret.isprintable():
        raise KeysError(f"{path} holds no secret; one line with the client's secret is expected")
    return secret
