"""Token exchange on the wire (RFC 8693): one request to a token endpoint, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from meshpact.clients.exchangewait import Failed
from meshpact.interceptors.errors import KEYS_UNAVAILABLE, TOKEN_INVALID
from meshpact.interceptors.fetch import Verify, fetch, shown
from meshpact.interceptors.introspection import read_secret
from meshpact.interceptors.keyring import KeysError
from meshpact.interceptors.signature import MAX_TOKEN
from meshpact.mesh import urls

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
    secret_file: Path | None = None

    def __post_init__(self) -> None:
        if not urls.is_safe_url(self.url):
            raise ValueError(
                f"{shown(self.url)} is no place to send tokens to: allowed are https, and http on "
                "the loopback address"
            )


@dataclass(frozen=True)
class Exchanged:
    """What an issuer gave. `lifetime` is in seconds, None when it did not say."""

    token: str = field(repr=False)
    lifetime: float | None


async def ask(
    endpoint: Endpoint, token: str, audience: str, *, verify: Verify = True
) -> Exchanged | Failed:
    """Asks for the token's counterpart for an audience. No failure shows a token or a secret."""
    form = {
        "grant_type": GRANT,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "requested_token_type": ACCESS_TOKEN,
        "audience": audience,
    }
    if urlsplit(audience).scheme:
        form["resource"] = audience
    user: tuple[str, str] | None = None
    try:
        if endpoint.secret_file is not None:
            # RFC 6749, 2.3.1: both are form-encoded before they become a user and a password.
            secret = read_secret(endpoint.secret_file)
            user = quote(endpoint.client_id, safe=""), quote(secret, safe="")
        elif endpoint.client_id:
            form["client_id"] = endpoint.client_id
        answer = await fetch(
            endpoint.url, MAX_BYTES, verify=verify, form=form, user=user, statuses=_STATUSES
        )
    except KeysError as error:
        return _down(str(error))
    return read(answer.status, answer.content)


class _Answer(msgspec.Struct):
    access_token: str
    issued_token_type: str
    token_type: str
    expires_in: float | None = None


class _Refusal(msgspec.Struct):
    error: str


def read(status: int, content: bytes) -> Exchanged | Failed:
    """What an answer says (RFC 8693 section 2.2): a token, or why there is none."""
    try:
        if status != _STATUSES[0]:
            return _refused(msgspec.json.decode(content, type=_Refusal).error)
        found = msgspec.json.decode(content, type=_Answer)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _down("it answered with something that is no token response")
    if (
        found.token_type.lower() != "bearer"
        or found.issued_token_type not in (ACCESS_TOKEN, JWT)
        or not found.access_token
        or not (found.access_token.isascii() and found.access_token.isprintable())
        or len(found.access_token) > MAX_TOKEN
    ):
        return _down("what it gave is not a bearer access token that a service would take")
    return Exchanged(found.access_token, found.expires_in)


_STATUSES: Final = (200, 400, 401, 403)
"""A token, and refusals."""

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


def _refused(why: str) -> Failed:
    known = f" ({why})" if why in _ERRORS else ""
    return Failed(
        TOKEN_INVALID,
        f"The issuer refuses to exchange the end user's token{known}: the call was not sent.",
    )


def _down(why: str) -> Failed:
    return Failed(
        KEYS_UNAVAILABLE,
        f"The end user's token cannot be exchanged now: {why}. The call was not sent.",
    )
