"""Who the end user is: access tokens (RFC 9068) verified against the keys of known issuers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from meshpact.interceptors import errors
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.errors import Reason, StatusError
from meshpact.interceptors.keys import KeySource

MAX_TOKEN: Final = 8192
"""Characters of a token."""
LEEWAY: Final = 5.0
"""Seconds by which clocks may differ for `nbf` and `iat`; none for `exp`."""
CACHE_ENTRIES: Final = 10_000

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})


@dataclass(frozen=True)
class Issuer:
    """One issuer of mesh.yaml. `token_type` is the `typ` its tokens must have ("" for any)."""

    name: str
    keys: KeySource
    audiences: frozenset[str]
    algorithms: frozenset[str]
    token_type: str = "at+jwt"  # noqa: S105


class Stale(Exception):
    """Verification needs a refresh of an issuer's keys, which is for the adapter to do."""

    def __init__(self, keys: KeySource) -> None:
        super().__init__("the issuer's keys are to be refreshed")
        self.keys = keys


class Tokens:
    """Verifies tokens. What was verified is remembered until it expires or the keys change."""

    def __init__(self, issuers: Sequence[Issuer], *, wall: Callable[[], float] = time.time) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._wall = wall
        self._verified: dict[bytes, tuple[EndUser, KeySet, str]] = {}
        self._lock = Lock()

    def verify(self, header: str, audience: str, leaf_pem: bytes, *, fresh: bool) -> EndUser:
        """The end user that an `authorization` header names.

        Raises StatusError to refuse, or Stale when the issuer's keys should be refreshed first;
        with `fresh` (they just were) it refuses instead.
        """
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise _refusal(errors.TOKEN_INVALID, "the authorization scheme is not Bearer")
        token = token.strip(" ")
        digest = hashlib.sha256(token.encode("ascii", "replace")).digest()
        known = self._verified.get(digest)
        if known is not None:
            user, keys, thumbprint = known
            if self._issuers[user.issuer].keys.current() is keys:
                self._check_use(user, audience, thumbprint, leaf_pem)
                return user
        return self._verify(token, digest, audience, leaf_pem, fresh=fresh)

    def _verify(
        self, token: str, digest: bytes, audience: str, leaf_pem: bytes, *, fresh: bool
    ) -> EndUser:
        header, claimed = _parts(token)
        issuer = self._issuers.get(_text(claimed, "iss"))
        if issuer is None:
            raise _refusal(errors.TOKEN_INVALID, "the token's issuer is not known here")
        algorithm, key_id = _text(header, "alg"), _text(header, "kid")
        if algorithm not in issuer.algorithms:
            raise _refusal(errors.TOKEN_INVALID, "the token's algorithm is not allowed here")
        if issuer.token_type and not _type_matches(_text(header, "typ"), issuer.token_type):
            raise _refusal(errors.TOKEN_INVALID, f"the token's type is not {issuer.token_type}")
        if "crit" in header:
            raise _refusal(errors.TOKEN_INVALID, "the token has critical header parameters")
        keys = issuer.keys.current()
        if keys is None or all(key.kid != key_id for key in keys.keys):
            if not fresh and issuer.keys.stale(key_id):
                raise Stale(issuer.keys)
            if keys is None:
                raise _unavailable()
            raise _refusal(errors.TOKEN_INVALID, "the token's key is not known")
        key = next(key for key in keys.keys if key.kid == key_id)
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError) as error:
            raise _refusal(errors.TOKEN_INVALID, "the token's signature does not hold") from error
        user, thumbprint = _end_user(claims, issuer, self._wall())
        self._check_use(user, audience, thumbprint, leaf_pem)
        with self._lock:
            if len(self._verified) >= CACHE_ENTRIES:
                self._verified.pop(next(iter(self._verified)))
            self._verified[digest] = (user, keys, thumbprint)
        return user

    def _check_use(self, user: EndUser, audience: str, thumbprint: str, leaf_pem: bytes) -> None:
        if user.expires <= self._wall():
            raise _refusal(errors.TOKEN_EXPIRED, "the token has expired")
        if audience:
            if audience not in user.audience:
                raise _refusal(errors.TOKEN_INVALID, f"the token is not for {audience}")
        elif user.audience.isdisjoint(self._issuers[user.issuer].audiences):
            raise _refusal(errors.TOKEN_INVALID, "the token is for another audience")
        if thumbprint and thumbprint != certificate_thumbprint(leaf_pem):
            raise _refusal(
                errors.TOKEN_BINDING_MISMATCH,
                "the token is bound to another client certificate",
            )


def missing() -> StatusError:
    """The refusal of a call without the token that its method demands."""
    return _refusal(errors.TOKEN_MISSING, "the call brings no end user's access token")


def certificate_thumbprint(pem: bytes) -> str:
    """The `x5t#S256` of a certificate (RFC 8705 section 3.1), "" for none."""
    body = b"".join(line for line in pem.splitlines() if line and not line.startswith(b"-----"))
    if not body:
        return ""
    digest = hashlib.sha256(base64.b64decode(body)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _end_user(claims: Mapping[str, Any], issuer: Issuer, now: float) -> tuple[EndUser, str]:
    subject, expires = _text(claims, "sub"), _number(claims, "exp")
    if not subject:
        raise _refusal(errors.TOKEN_INVALID, "the token names no subject")
    if expires is None:
        raise _refusal(errors.TOKEN_INVALID, "the token has no expiry")
    if expires <= now:
        raise _refusal(errors.TOKEN_EXPIRED, "the token has expired")
    for claim in ("nbf", "iat"):
        value = _number(claims, claim)
        if claim in claims and (value is None or value > now + LEEWAY):
            raise _refusal(errors.TOKEN_INVALID, "the token is not valid yet")
    confirmation = claims.get("cnf")
    thumbprint = ""
    if confirmation is not None:
        thumbprint = _text(_object(confirmation), "x5t#S256")
        if not thumbprint:
            raise _refusal(
                errors.TOKEN_BINDING_MISMATCH, "the token is bound in a way not known here"
            )
    user = EndUser(
        issuer=issuer.name,
        subject=subject,
        audience=_texts(claims.get("aud")),
        scopes=frozenset(_text(claims, "scope").split(" ")) - {""},
        groups=_texts(claims.get("groups")),
        expires=expires,
        bound=bool(thumbprint),
    )
    return user, thumbprint


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, not verified; only strict base64url and JSON objects pass."""
    if len(token) > MAX_TOKEN or not _COMPACT.fullmatch(token):
        raise _refusal(errors.TOKEN_INVALID, "the token is not a signed JWT")
    header, claims, signature = token.split(".")
    parsed = _json(header), _json(claims)
    _decode(signature)
    return parsed


def _json(segment: str) -> Mapping[str, Any]:
    try:
        value = json.loads(_decode(segment), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _refusal(errors.TOKEN_INVALID, "the token is not a signed JWT") from error
    found = _object(value)
    if not found:
        raise _refusal(errors.TOKEN_INVALID, "the token is not a signed JWT")
    return found


def _object(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _decode(segment: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise _refusal(errors.TOKEN_INVALID, "the token is not a signed JWT") from error
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        raise _refusal(errors.TOKEN_INVALID, "the token is not strict base64url")
    return raw


def _type_matches(found: str, wanted: str) -> bool:
    found = found.lower()
    return found in _TYPES if wanted.lower() in _TYPES else found == wanted.lower()


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _texts(value: object) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset({value})
    if isinstance(value, list):
        items = cast("list[object]", value)
        return frozenset(item for item in items if isinstance(item, str))
    return frozenset()


def _refusal(reason: Reason, text: str) -> StatusError:
    return StatusError(
        reason.code, f"Unauthenticated: {text}", reason=reason.name, domain=errors.DOMAIN
    )


def _unavailable() -> StatusError:
    return StatusError(
        errors.KEYS_UNAVAILABLE.code,
        "The keys of the token's issuer cannot be had now",
        reason=errors.KEYS_UNAVAILABLE.name,
        domain=errors.DOMAIN,
        retry_after=1.0,
    )
