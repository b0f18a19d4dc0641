"""Access tokens (RFC 9068) for tests, also such as no honest issuer signs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from joserfc.jwk import ECKey, KeyParameters, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

SigningKey = ECKey | RSAKey | OKPKey

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


class TokenIssuer:
    """An issuer with one key in memory, for `algorithm` (ES256, RS256, PS256, Ed25519, ...).

    `jwks` is its key set as a document. Tokens that go wrong are made by overriding claims or
    header parameters, by `sign`, or by another TokenIssuer of the same name.
    """

    def __init__(self, name: str, *, key_id: str = "test-1", algorithm: str = "ES256") -> None:
        self.name = name
        self.key_id = key_id
        self.algorithm = algorithm
        self._key = _new_key(key_id, algorithm)

    @property
    def jwk(self) -> dict[str, object]:
        """The public key (RFC 7517)."""
        return dict(self._key.as_dict(private=False))

    @property
    def private_jwk(self) -> dict[str, object]:
        """The private key, which no key set should hold."""
        return dict(self._key.as_dict(private=True))

    @property
    def jwks(self) -> str:
        """The public key as a JWK set (RFC 7517)."""
        return json.dumps(KeySet([self._key]).as_dict(private=False))

    def write_jwks(self, path: Path) -> Path:
        """Writes the key set and gives the path back."""
        path.write_text(self.jwks, encoding="utf-8")
        return path

    def mint(
        self,
        user: str,
        *,
        audience: Sequence[str],
        scopes: Sequence[str] = (),
        groups: Sequence[str] = (),
        lifetime: float = 600.0,
        claims: Mapping[str, object] | None = None,
        header: Mapping[str, object] | None = None,
    ) -> str:
        """A token for `user`, valid from now for `lifetime` seconds (negative: expired).

        `claims` and `header` are laid over what is written otherwise; None as value leaves out.
        """
        now = int(time.time())
        body: dict[str, object] = {
            "iss": self.name,
            "sub": user,
            "aud": list(audience),
            "scope": " ".join(scopes),
            "groups": list(groups),
            "client_id": "tests",
            "iat": now - 60,
            "exp": now + int(lifetime),
            "jti": f"{user}-{now}",
        }
        top: dict[str, object] = {"alg": self.algorithm, "typ": "at+jwt", "kid": self.key_id}
        body.update(claims or {})
        top.update(header or {})
        return self.sign(_json(top), _json(body))

    def sign(self, header: bytes, payload: bytes) -> str:
        """A token of any header and payload, signed by the issuer's key and algorithm whatever
        they say."""
        signed = f"{_base64url(header)}.{_base64url(payload)}"
        algorithm = JWSRegistry.algorithms[self.algorithm]
        return f"{signed}.{_base64url(algorithm.sign(signed.encode(), self._key))}"


def key_set(*issuers: TokenIssuer, further: Sequence[object] = ()) -> str:
    """A JWK set (RFC 7517) of several keys; `further` are entries as they come."""
    return json.dumps({"keys": [*(issuer.jwk for issuer in issuers), *further]})


def _new_key(key_id: str, algorithm: str) -> SigningKey:
    members: KeyParameters = {"kid": key_id, "alg": algorithm, "use": "sig"}
    if algorithm in _CURVES:
        return ECKey.generate_key(_CURVES[algorithm], members)
    if algorithm in ("EdDSA", "Ed25519"):
        return OKPKey.generate_key("Ed25519", members)
    return RSAKey.generate_key(2048, members)


def _json(value: Mapping[str, object]) -> bytes:
    kept = {key: each for key, each in value.items() if each is not None}
    return json.dumps(kept, separators=(",", ":")).encode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
