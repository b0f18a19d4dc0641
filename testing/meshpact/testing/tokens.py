"""Access tokens (RFC 9068) for tests, also such as no honest issuer signs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet


class TokenIssuer:
    """An issuer with one ES256 key in memory.

    `jwks` is its key set as a document. Tokens that go wrong are made by overriding claims or
    header parameters, or by another TokenIssuer of the same name.
    """

    def __init__(self, name: str, *, key_id: str = "test-1") -> None:
        self.name = name
        self.key_id = key_id
        self._key = ECKey.generate_key("P-256", {"kid": key_id, "alg": "ES256", "use": "sig"})

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
        top: dict[str, object] = {"alg": "ES256", "typ": "at+jwt", "kid": self.key_id}
        body.update(claims or {})
        top.update(header or {})
        return jwt.encode(
            {key: value for key, value in top.items() if value is not None},
            {key: value for key, value in body.items() if value is not None},
            self._key,
            algorithms=["ES256"],
        )
