"""JWT-SVIDs: tokens by which a workload proves its SPIFFE ID, and the rules for them.

https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md. They are no access tokens of end
users: one is never taken for the other.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NoReturn, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from meshpact.certs.errors import CertsError
from meshpact.certs.errors import JwtSvidError as JwtSvidError
from meshpact.certs.spiffe import SpiffeId, TrustDomain

ALGORITHMS: Final = frozenset(
    {"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
)
"""JWT-SVID 2.1: nothing else, so neither `none` nor anything symmetric."""
TYPES: Final = frozenset({"JWT", "JOSE"})
"""JWT-SVID 2.3, where there is a `typ` at all."""
MAX_TOKEN: Final = 16 * 1024
"""Characters of a token."""
LEEWAY: Final = 5.0
"""Seconds by which clocks may differ for `nbf`; none for `exp`."""

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

Key = ECKey | RSAKey


@dataclass(frozen=True, slots=True)
class JwtBundle:
    """The keys that sign the JWT-SVIDs of one trust domain, by their IDs; may be empty."""

    trust_domain: TrustDomain
    keys: Mapping[str, Key]

    @classmethod
    def from_json(cls, trust_domain: TrustDomain, data: bytes) -> JwtBundle:
        """The bundle that a JWK set holds (RFC 7517). Keys of no use for JWT-SVIDs are left out.

        JwtSvidError `bundle` when it is none.
        """
        try:
            document: object = json.loads(data)
            entries = cast("object", document["keys"]) if isinstance(document, dict) else None
            if not isinstance(entries, list):
                raise ValueError("no keys")
            keys = [_key(entry) for entry in cast("list[object]", entries)]
        except (ValueError, KeyError, RecursionError, JoseError):
            raise JwtSvidError(
                "bundle", f"the JWT bundle of {trust_domain} is not a JWK set of usable keys"
            ) from None
        return cls(trust_domain, MappingProxyType({str(key.kid): key for key in keys if key}))

    @property
    def json(self) -> bytes:
        """The public keys as a JWK set, without parameters that only SPIFFE knows."""
        keys = [{**key.as_dict(private=False), "kid": kid} for kid, key in self.keys.items()]
        return json.dumps({"keys": keys}).encode()

    def __repr__(self) -> str:
        return f"JwtBundle({self.trust_domain}, {len(self.keys)} keys)"


@dataclass(frozen=True, slots=True)
class JwtSvid:
    """A JWT-SVID that was verified, or just issued. `expires` is in seconds since the epoch."""

    id: SpiffeId
    audience: tuple[str, ...]
    expires: float
    claims: Mapping[str, object] = field(repr=False)
    token: str = field(repr=False)


def verify_jwt_svid(
    token: str, audience: str, bundles: Mapping[str, JwtBundle], now: float
) -> JwtSvid:
    """The JWT-SVID that a token is, when all rules hold and it is meant for `audience`.

    `bundles` by the name of the trust domain: only the one of the ID's own domain counts.
    JwtSvidError names the broken rule: `encoding` (section 2), `alg` (2.1), `typ` (2.3), `crit`,
    `sub` (3.1), `aud` (3.2), `exp` (3.3), `nbf`, `trust-domain`, `key`, `signature` (section 5).
    """
    header, claims = _parts(token)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        _refuse("alg", f"its algorithm is none of {', '.join(sorted(ALGORITHMS))}")
    if "typ" in header and header["typ"] not in TYPES:
        _refuse("typ", "its typ is neither JWT nor JOSE: it is another kind of token")
    if "crit" in header:
        _refuse("crit", "it has critical header parameters, of which none is known")
    spiffe_id = _subject(claims)
    audiences = _audience(claims)
    expires = _times(claims, now)
    if audience not in audiences:
        _refuse("aud", "it is meant for another audience")
    bundle = bundles.get(spiffe_id.trust_domain.name)
    if bundle is None:
        _refuse("trust-domain", f"the keys of {spiffe_id.trust_domain} are not known here")
    _check_signature(token, algorithm, bundle, key_id)
    return JwtSvid(spiffe_id, audiences, expires, MappingProxyType(claims), token)


def _check_signature(token: str, algorithm: str, bundle: JwtBundle, key_id: object) -> None:
    if not isinstance(key_id, str) or not key_id:
        _refuse("key", "it does not say which key signed it")
    key = bundle.keys.get(key_id)
    if key is None:
        _refuse("key", f"the key that signed it is not among those of {bundle.trust_domain}")
    try:
        jws.deserialize_compact(token, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError):
        _refuse("signature", "its signature does not hold")


def _subject(claims: Mapping[str, object]) -> SpiffeId:
    subject = claims.get("sub")
    if not isinstance(subject, str):
        _refuse("sub", "it names no subject")
    try:
        spiffe_id = SpiffeId.parse(subject)
    except CertsError:
        _refuse("sub", "its subject is not a SPIFFE ID")
    if not spiffe_id.path:
        _refuse("sub", "its subject is a trust domain, not a workload")
    return spiffe_id


def _audience(claims: Mapping[str, object]) -> tuple[str, ...]:
    found = claims.get("aud")
    values = cast("list[object]", found) if isinstance(found, list) else [found]
    audiences = tuple(value for value in values if isinstance(value, str) and value)
    if not audiences or len(audiences) != len(values):
        _refuse("aud", "it does not say for whom it is meant")
    return audiences


def _times(claims: Mapping[str, object], now: float) -> float:
    """The end of its time; refused when that is over, or when its time has not begun."""
    expires, begins = _seconds(claims, "exp"), _seconds(claims, "nbf")
    if expires is None:
        _refuse("exp", "it does not say when it expires")
    if expires <= now:
        _refuse("exp", "it has expired")
    if begins is not None and begins > now + LEEWAY:
        _refuse("nbf", "it is not valid yet")
    return expires


def _seconds(claims: Mapping[str, object], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(name, f"its {name} is no time")
    try:
        return float(value)
    except OverflowError:
        _refuse(name, f"its {name} is no time")


def _parts(token: str) -> tuple[dict[str, object], dict[str, object]]:
    """Header and claims, not verified; only strict base64url and JSON objects pass."""
    if len(token) > MAX_TOKEN or not _COMPACT.fullmatch(token):
        _refuse("encoding", "it is not a JWS in compact serialization")
    header, claims, signature = token.split(".")
    _decoded(signature)
    return _object(header), _object(claims)


def _object(segment: str) -> dict[str, object]:
    try:
        value: object = json.loads(
            _decoded(segment), object_pairs_hook=_unique, parse_constant=_no_number
        )
    except (ValueError, RecursionError):
        _refuse("encoding", "its header or claims are not JSON")
    if not isinstance(value, dict):
        _refuse("encoding", "its header or claims are no JSON object")
    return cast("dict[str, object]", value)


def _decoded(segment: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        _refuse("encoding", "it is not base64url")
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        _refuse("encoding", "it is not strict base64url")
    return raw


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_number(_: str) -> NoReturn:
    raise ValueError("not a number of JSON")


def _key(entry: object) -> Key | None:
    """A key for signatures; None for one of another kind or use."""
    if not isinstance(entry, dict):
        raise ValueError("a key is no object")
    values = dict(cast("dict[str, str | list[str]]", entry))
    if not values.get("kid") or values.get("use", "sig") not in ("sig", "jwt-svid"):
        return None
    values.pop("use", None)
    if values.get("kty") not in ("EC", "RSA"):
        return None
    key = JWKRegistry.import_key(values)
    return key if isinstance(key, ECKey | RSAKey) and not key.is_private else None


def _refuse(rule: str, fault: str) -> NoReturn:
    raise JwtSvidError(rule, f"this is no JWT-SVID to be trusted: {fault}")
