"""What an access token must say (RFC 9068), and what an introspection must answer (RFC 7662)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from meshpact.interceptors import errors
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.errors import Reason, StatusError
from meshpact.interceptors.strictjson import is_text

LEEWAY: Final = 5.0
"""Seconds by which clocks may differ for `nbf` and `iat`; none for `exp`."""
MAX_NAME: Final = 1024
"""Characters of `sub`, `client_id` and the like."""

ACCESS_TOKEN_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
PLAIN_TYPES: Final = ACCESS_TOKEN_TYPES | {"jwt", "application/jwt", ""}
"""What passes where mesh.yaml says `token_type: JWT`."""

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( +[\x21\x23-\x5b\x5d-\x7e]+)*")
_ID_TOKEN_CLAIMS: Final = ("nonce", "at_hash")
_SPIFFE: Final = "spiffe://"


@dataclass(frozen=True, slots=True)
class Rules:
    """How the tokens of one issuer are read."""

    issuer: str
    plain: bool = False
    """Whether tokens pass whose type does not say that they are access tokens."""
    groups_claim: str = "groups"
    client_id: str = ""
    """This mesh's own client at the issuer; ID tokens are for it."""


@dataclass(frozen=True, slots=True)
class Said:
    """A user, and the certificate that the token is bound to ("" for none; RFC 8705)."""

    user: EndUser
    thumbprint: str

    def __repr__(self) -> str:
        return "Said()"


def check_type(header: Mapping[str, Any], rules: Rules) -> None:
    """Passes the header of an access token. Raises StatusError TOKEN_INVALID."""
    found = header.get("typ", "")
    allowed = PLAIN_TYPES if rules.plain else ACCESS_TOKEN_TYPES
    if not isinstance(found, str) or found.lower() not in allowed:
        wanted = "JWT or at+jwt" if rules.plain else "at+jwt"
        raise refusal(errors.TOKEN_INVALID, f"the token's type is not {wanted}")


def of_access_token(claims: Mapping[str, Any], rules: Rules, now: float) -> Said:
    """What a verified access token says. Raises StatusError TOKEN_INVALID or TOKEN_EXPIRED."""
    if claims.get("iss") != rules.issuer:
        raise refusal(errors.TOKEN_INVALID, "the token is another issuer's")
    for name in ("jti", "sub"):
        _demand_text(claims, name)
    if _number(claims, "iat") is None:
        raise _lacks("iat")
    audience = _audience(claims)
    client = _client(claims, rules)
    if rules.plain:
        _refuse_other_kinds(claims, audience, {client, rules.client_id})
    return _said(claims, audience, rules, now)


def of_introspection(answer: Mapping[str, Any], rules: Rules, now: float) -> Said:
    """What an introspection says of an active token. Raises StatusError as above.

    More than RFC 7662 demands: `sub`, `client_id`, `aud` and `exp` must be there.
    """
    if answer.get("iss", rules.issuer) != rules.issuer:
        raise refusal(errors.TOKEN_INVALID, "the token is another issuer's")
    kind = answer.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise refusal(errors.TOKEN_INVALID, "the token is not a bearer token")
    for name in ("client_id", "sub"):
        _demand_text(answer, name)
    return _said(answer, _audience(answer), rules, now)


def refusal(reason: Reason, text: str) -> StatusError:
    """The refusal of a token. `text` must hold nothing of it."""
    return StatusError(
        reason.code, f"Unauthenticated: {text}", reason=reason.name, domain=errors.DOMAIN
    )


def _said(claims: Mapping[str, Any], audience: frozenset[str], rules: Rules, now: float) -> Said:
    expires = _number(claims, "exp")
    if expires is None:
        raise _lacks("exp")
    if expires <= now:
        raise expired()
    for name in ("nbf", "iat"):
        value = _number(claims, name)
        if name in claims and (value is None or value > now + LEEWAY):
            raise refusal(errors.TOKEN_INVALID, "the token is not valid yet")
    thumbprint = _confirmation(claims)
    user = EndUser(
        issuer=rules.issuer,
        subject=claims["sub"],
        audience=_shared(audience),
        scopes=_shared(_scopes(claims)),
        groups=_shared(_groups(claims, rules.groups_claim)),
        expires=expires,
        bound=bool(thumbprint),
    )
    return Said(user, thumbprint)


def expired() -> StatusError:
    """The refusal of a token whose time is over."""
    return refusal(errors.TOKEN_EXPIRED, "the token has expired")


def _refuse_other_kinds(
    claims: Mapping[str, Any], audience: frozenset[str], clients: set[str]
) -> None:
    """ID tokens and JWT-SVIDs, where the type of a token does not tell them apart."""
    if any(name in claims for name in _ID_TOKEN_CLAIMS) or not audience.isdisjoint(clients):
        raise refusal(errors.TOKEN_INVALID, "the token is an ID token, not an access token")
    if str(claims["sub"]).lower().startswith(_SPIFFE):
        raise refusal(errors.TOKEN_INVALID, "the token is a JWT-SVID, not an access token")


def _client(claims: Mapping[str, Any], rules: Rules) -> str:
    """`client_id`; where plain JWTs pass, `azp` (OpenID Connect Core) does as well."""
    if rules.plain and "client_id" not in claims:
        return _demand_text(claims, "azp", "client_id or azp")
    return _demand_text(claims, "client_id")


def _audience(claims: Mapping[str, Any]) -> frozenset[str]:
    found = _texts(claims.get("aud"))
    if not found:
        raise _lacks("aud")
    return found


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    if scope == "":
        return frozenset()
    if not isinstance(scope, str) or not _SCOPE.fullmatch(scope.strip(" ")):
        raise refusal(
            errors.TOKEN_INVALID, "the token's scope is not a text of scopes between spaces"
        )
    return frozenset(scope.split())


def _groups(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    value = claims.get(name)
    if value is None or value == []:
        return frozenset()
    found = _texts(value)
    if not found:
        raise refusal(errors.TOKEN_INVALID, "the token's groups are not a list of texts")
    return found


def _confirmation(claims: Mapping[str, Any]) -> str:
    """`cnf.x5t#S256`; a token bound in another way as well is not usable here."""
    found = claims.get("cnf")
    if found is None:
        return ""
    members = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    thumbprint = members.get("x5t#S256")
    if len(members) != 1 or not isinstance(thumbprint, str) or not thumbprint:
        raise refusal(errors.TOKEN_BINDING_MISMATCH, "the token is bound in a way not known here")
    return thumbprint


def _demand_text(claims: Mapping[str, Any], name: str, shown: str = "") -> str:
    value = claims.get(name)
    if not is_text(value, MAX_NAME):
        raise _lacks(shown or name)
    return str(value)


def _lacks(name: str) -> StatusError:
    return refusal(errors.TOKEN_INVALID, f"the token has no sound {name}")


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _texts(value: object) -> frozenset[str]:
    """A text, or a list of texts; nothing when it is neither, or an item is none."""
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    if all(isinstance(item, str) and item for item in items):
        return frozenset(cast("list[str]", items))
    return frozenset()


@lru_cache(maxsize=256)
def _shared(texts: frozenset[str]) -> frozenset[str]:
    """The same object for all users of whom the same is said: three sets for each of thousands of
    remembered users are what the garbage collector would stop all calls for."""
    return texts
