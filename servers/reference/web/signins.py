"""Sign-ins under way: what the site must know when the browser comes back, without keeping any.

The `state` that goes along (RFC 6749, section 10.12) says all of it under the site's seal, and fits
one browser's cookie; the secrets of PKCE (RFC 7636) and the nonce are made of it anew. However many
sign-ins are begun, and by whomever, nothing is held and nobody's is lost. Held for a while is which
ones came back: each does once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from itsdangerous import BadData, URLSafeSerializer

UNDER_WAY: Final = 600.0
"""Seconds for a person to sign in."""
LONGEST_PATH: Final = 1000
SPENT: Final = 10_000
"""Sign-ins that came back whose names are known, at most."""


@dataclass(frozen=True)
class SignIn:
    """One sign-in. `back` is the path of this site where it leads."""

    state: str
    verifier: str = field(repr=False)
    nonce: str = field(repr=False)
    back: str

    @property
    def challenge(self) -> str:
        """That of PKCE, S256."""
        return _base64(hashlib.sha256(self.verifier.encode()).digest())


class OtherBrowser(Exception):
    """The sign-in was begun here, but in another browser, or is done; `back` is where it leads."""

    def __init__(self, back: str) -> None:
        super().__init__("begun in another browser")
        self.back = back


class SignIns:
    """Begins sign-ins, and knows them again. `clock` counts seconds; a restart ends all of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._states = URLSafeSerializer(self._key, salt="state")
        self._spent: dict[str, float] = {}

    def begin(self, browser: str, back: str) -> SignIn:
        """A new one, for the browser whose cookie has the value `browser`."""
        back = _local(back)
        told = [int(self._clock()), secrets.token_urlsafe(16), self._mark(browser), back]
        return self._of(self._states.dumps(told), browser, back)

    def known(self, state: str, browser: str) -> SignIn | None:
        """The one that a browser comes back from, once.

        None for one that was not begun here, or too long ago, or came back before. OtherBrowser.
        """
        try:
            begun, name, mark, back = self._states.loads(state)
        except (BadData, UnicodeEncodeError):
            return None
        now = self._clock()
        if not 0 <= now - begun < UNDER_WAY or name in self._spent:
            return None
        if not browser or not hmac.compare_digest(mark, self._mark(browser)):
            raise OtherBrowser(back)
        while self._spent and (
            len(self._spent) >= SPENT or now - next(iter(self._spent.values())) >= UNDER_WAY
        ):
            del self._spent[next(iter(self._spent))]
        self._spent[name] = now
        return self._of(state, browser, back)

    def _of(self, state: str, browser: str, back: str) -> SignIn:
        secret = f"{browser}.{state}"
        return SignIn(state, self._seal("verifier", secret), self._seal("nonce", secret), back)

    def _mark(self, browser: str) -> str:
        return self._seal("browser", browser)

    def _seal(self, what: str, text: str) -> str:
        data = f"{what}\n{text}".encode("utf-8", "surrogatepass")
        return _base64(hmac.digest(self._key, data, "sha256"))


def _local(path: str) -> str:
    """A path of this site, "/" for whatever leads elsewhere."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path
    sound = plain and path.isprintable() and path.isascii() and len(path) <= LONGEST_PATH
    return path if sound else "/"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
