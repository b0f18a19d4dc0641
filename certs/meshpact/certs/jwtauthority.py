"""The authority that signs JWT-SVIDs: ES256 keys in a directory, of which a new one comes in time.

A key is published before it signs and stays until what it signed has expired, so that nobody who
follows the bundle ever meets a token whose key is missing from it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from meshpact.certs.errors import JwtSvidError
from meshpact.certs.files import private_directory, write_whole
from meshpact.certs.jwtsvid import JwtBundle, JwtSvid
from meshpact.certs.spiffe import SpiffeId, TrustDomain

KEYS_FILE: Final = "keys.json"
LIFETIME: Final = 300.0
"""Seconds for which a JWT-SVID is valid: it is fetched for each use, and anyone who has it can use
it (JWT-SVID, section 7)."""
SIGNS: Final = 24 * 3600.0
"""Seconds for which a key signs."""
AHEAD: Final = 3600.0
"""Seconds between a key's publication and its first signature."""

_ALGORITHM: Final = "ES256"
_SLACK: Final = 60.0


@dataclass(frozen=True)
class _SigningKey:
    since: float
    """When it begins to sign, in seconds since the epoch."""
    key: ECKey = field(repr=False)

    @property
    def id(self) -> str:
        return self.key.thumbprint()


class JwtAuthority:
    """The authority of one trust domain. One process at a time may hold a directory's.

    Times are given by the caller, in seconds since the epoch.
    """

    def __init__(self, directory: Path, trust_domain: TrustDomain, now: float) -> None:
        """Loads the keys of `directory`, or makes the first one.

        JwtSvidError `state` when they are broken.
        """
        self._path = directory / KEYS_FILE
        self._trust_domain = trust_domain
        private_directory(directory)
        self._keys = self._load() if self._path.exists() else []
        self.refresh(now)

    @property
    def bundle(self) -> JwtBundle:
        """The public keys: those that sign, will sign, or signed what may still be valid."""
        keys = {
            each.id: ECKey.import_key(each.key.as_pem(private=False).decode(), {"kid": each.id})
            for each in self._keys
        }
        return JwtBundle(self._trust_domain, MappingProxyType(keys))

    def issue(self, spiffe_id: SpiffeId, audience: Sequence[str], now: float) -> JwtSvid:
        """A JWT-SVID for a workload. JwtSvidError `aud` without an audience, `trust-domain` for an
        ID of another domain."""
        if not audience or not all(audience):
            raise JwtSvidError("aud", "a JWT-SVID needs an audience: for whom is it meant?")
        if spiffe_id.trust_domain != self._trust_domain or not spiffe_id.path:
            raise JwtSvidError(
                "trust-domain", f"{spiffe_id} is not the ID of a workload of {self._trust_domain}"
            )
        signing, expires = self._signing(now), int(now + LIFETIME)
        claims: dict[str, object] = {
            "sub": str(spiffe_id),
            "aud": list(audience),
            "iat": int(now),
            "exp": expires,
            "jti": secrets.token_urlsafe(16),
        }
        header = {"typ": "JWT", "alg": _ALGORITHM, "kid": signing.id}
        token = jwt.encode(header, claims, signing.key, algorithms=[_ALGORITHM])
        return JwtSvid(spiffe_id, tuple(audience), expires, MappingProxyType(claims), token)

    def refresh(self, now: float) -> bool:
        """Publish the next key and forget the oldest when it is time; whether the bundle changed.

        To be called at least once in half of AHEAD.
        """
        keys = list(self._keys)
        if not keys:
            keys.append(_SigningKey(now, ECKey.generate_key("P-256")))
        newest = keys[-1].since
        if newest + SIGNS - AHEAD <= now:
            following = max(newest + SIGNS, now + AHEAD)
            keys.append(_SigningKey(following, ECKey.generate_key("P-256")))
        while len(keys) > 1 and keys[1].since + LIFETIME + _SLACK <= now:
            keys.pop(0)
        changed = keys != self._keys
        if changed:
            self._save(keys)
        self._keys = keys
        return changed

    def _signing(self, now: float) -> _SigningKey:
        ready = [each for each in self._keys if each.since <= now]
        return ready[-1] if ready else self._keys[0]

    def _save(self, keys: Sequence[_SigningKey]) -> None:
        entries = [
            {"since": each.since, "pem": each.key.as_pem(private=True).decode()} for each in keys
        ]
        write_whole(self._path, json.dumps({"keys": entries}, indent=2).encode() + b"\n")

    def _load(self) -> list[_SigningKey]:
        try:
            document: object = json.loads(self._path.read_bytes())
            entries = cast("dict[str, list[dict[str, object]]]", document)["keys"]
            keys = [
                _SigningKey(float(cast("float", entry["since"])), _private(str(entry["pem"])))
                for entry in entries
            ]
            if not keys:
                raise ValueError("no key")
        except OSError as error:
            raise self._broken(f"cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, KeyError, AttributeError, JoseError):
            raise self._broken("does not hold the keys that were written to it") from None
        return sorted(keys, key=lambda each: each.since)

    def _broken(self, fault: str) -> JwtSvidError:
        return JwtSvidError(
            "state",
            f"{self._path} {fault}: put the right file back, or remove it to start with a new key "
            "(JWT-SVIDs issued before are worth nothing then)",
        )

    def __repr__(self) -> str:
        return f"JwtAuthority({self._trust_domain}, {len(self._keys)} keys)"


def _private(pem: str) -> ECKey:
    key = ECKey.import_key(pem)
    if not key.is_private or key.curve_name != "P-256":
        raise ValueError("not a private key on P-256")
    return key
