"""Token exchange on the wire (RFC 8693): one request to a token endpoint, and what it answered."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import msgspec

from meshpact.clients.exchanging import Failed
from meshpact.interceptors.errors import KEYS_UNAVAILABLE, TOKEN_INVALID

TIMEOUT: Final = 3.0
"""Seconds for connecting and for each wait for a part of the answer."""
TOTAL: Final = 8.0
"""Seconds for an answer as a whole."""
MAX_BYTES: Final = 64 * 1024

GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"


@dataclass(frozen=True)
class Endpoint:
    """Where one issuer exchanges tokens, and as whom this mesh asks there.

    `secret_file` is read for each exchange, so that a new secret needs no restart; without one the
    issuer is told the `client_id` alone. ValueError for an address that is not https or this
    machine's own.
    """

    url: str
    client_id: str = ""
    secret_file: Path | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if not parts.hostname or not (
            parts.scheme == "https" or (parts.scheme == "http" and local)
        ):
            raise ValueError(
                f"{self.url!r} is no place to send tokens to: allowed are https, and http on the "
                "loopback address"
            )


@dataclass(frozen=True)
class Exchanged:
    """What an issuer gave. `lifetime` is in seconds, None when it did not say."""

    token: str = field(repr=False)
    lifetime: float | None


def ask(client: httpx.Client, endpoint: Endpoint, token: str, audience: str) -> Exchanged | Failed:
    """Asks for the token's counterpart for an audience. Blocks, for TOTAL seconds at most.

    No failure shows a token or a secret.
    """
    form = {
        "grant_type": GRANT,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "requested_token_type": ACCESS_TOKEN,
        "audience": audience,
    }
    if urlsplit(audience).scheme:
        form["resource"] = audience
    headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    if endpoint.secret_file is not None:
        try:
            secret = endpoint.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return _down("the file with this mesh's client secret cannot be read")
        # RFC 6749, 2.3.1: both are form-encoded before they become a user and a password.
        pair = f"{quote_plus(endpoint.client_id)}:{quote_plus(secret)}"
        headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    elif endpoint.client_id:
        form["client_id"] = endpoint.client_id
    until = time.monotonic() + TOTAL
    content = bytearray()
    try:
        with client.stream(
            "POST", endpoint.url, content=urlencode(form), headers=headers
        ) as answer:
            for part in answer.iter_bytes():
                content += part
                if len(content) > MAX_BYTES:
                    return _down(f"it answered with more than {MAX_BYTES} bytes")
                if time.monotonic() > until:
                    return _down(f"its answer took longer than {TOTAL:g} s")
            return read(answer.status_code, bytes(content))
    except httpx.HTTPError as error:
        return _down(f"{type(error).__name__}")


class _Answer(msgspec.Struct):
    access_token: str
    issued_token_type: str
    token_type: str
    expires_in: float | None = None


class _Refusal(msgspec.Struct):
    error: str


def read(status: int, content: bytes) -> Exchanged | Failed:
    """What an answer says (RFC 8693 section 2.2): a token, or why there is none."""
    if status == 200:
        try:
            found = msgspec.json.decode(content, type=_Answer)
        except (msgspec.MsgspecError, ValueError):
            return _down("it answered with something that is no token response")
        if (
            found.token_type.lower() != "bearer"
            or found.issued_token_type not in (ACCESS_TOKEN, JWT)
            or not found.access_token
            or not (found.access_token.isascii() and found.access_token.isprintable())
        ):
            return _down("what it gave is not a bearer access token")
        return Exchanged(found.access_token, found.expires_in)
    if status in (400, 401, 403):
        try:
            why = msgspec.json.decode(content, type=_Refusal).error
        except (msgspec.MsgspecError, ValueError):
            why = ""
        known = f" ({why})" if why in _ERRORS else ""
        return Failed(
            TOKEN_INVALID,
            f"The issuer refuses to exchange the end user's token{known}: the call was not sent.",
        )
    return _down(f"it answered with HTTP status {status}")


_ERRORS: Final = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""Error codes that are shown (RFC 6749 section 5.2, RFC 8693 section 2.2.2)."""


def _down(why: str) -> Failed:
    return Failed(
        KEYS_UNAVAILABLE,
        f"The issuer cannot exchange the end user's token now, {why}: the call was not sent.",
    )
