"""The tokens that are signed: access tokens (RFC 9068) and ID tokens (OpenID Connect Core)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc import jwt

from meshpact.servers.signedtokens import read_signed
from reference.identity.accounts import Account
from reference.identity.clients import Client
from reference.identity.signingkeys import ALGORITHM, SigningKeys
from reference.identity.usersessions import UserSession

ACCESS: Final = "at+jwt"


@dataclass(frozen=True)
class Subject:
    """For whom tokens are made, and under which grant."""

    account: Account
    session: UserSession
    grant_id: str = ""
    nonce: str = field(default="", repr=False)


class TokenMaker:
    """Makes tokens of the issuer `issuer`, and reads its own access tokens back."""

    def __init__(
        self,
        issuer: str,
        keys: SigningKeys,
        *,
        lifetime: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.lifetime = lifetime
        self._keys = keys
        self._clock = clock

    def access(self, client: Client, subject: Subject, scopes: Collection[str]) -> str:
        """An access token for the client's system."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject.account.id,
            "aud": client.audience,
            "exp": now + self.lifetime,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "client_id": client.client_id,
            "scope": " ".join(sorted(scopes)),
            "groups": sorted(subject.account.groups),
            "sid": subject.session.id,
            "grant": subject.grant_id,
            "auth_time": int(subject.session.created_at),
        }
        return self.sign(claims)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """An access token that says just this."""
        return self._signed(ACCESS, dict(claims))

    def identity(self, client: Client, subject: Subject) -> str:
        """An ID token: who has signed in, for the client alone."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject.account.id,
            "aud": client.client_id,
            "exp": now + self.lifetime,
            "iat": now,
            "auth_time": int(subject.session.created_at),
            "sid": subject.session.id,
            "name": subject.account.login,
            "groups": sorted(subject.account.groups),
        }
        if subject.nonce:
            claims["nonce"] = subject.nonce
        return self._signed("JWT", claims)

    def read(self, token: str) -> Mapping[str, Any] | None:
        """What an access token of ours says, None when it is none or has expired."""
        keys = self._keys.verifying().keys
        try:
            found = read_signed(token, keys, kind=ACCESS, algorithms=(ALGORITHM,))
        except ValueError:
            return None
        good = found.get("iss") == self.issuer and found.get("exp", 0) > self._clock()
        return found if good else None

    def _signed(self, kind: str, claims: dict[str, Any]) -> str:
        key = self._keys.signing()
        header = {"typ": kind, "alg": ALGORITHM, "kid": key.thumbprint()}
        return jwt.encode(header, claims, key, algorithms=[ALGORITHM])
