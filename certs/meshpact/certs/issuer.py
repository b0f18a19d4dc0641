"""A development issuer of end users' access tokens: an ES256 key in a directory, and its key set.

Tokens are those of RFC 9068 (JWT profile for OAuth 2.0 access tokens). Meant for development and
tests: it vouches for any user it is asked for, without a password.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from meshpact.certs.errors import IssuerError as IssuerError
from meshpact.certs.files import PUBLIC_FILE, write_whole
from meshpact.certs.thumbprint import certificate_thumbprint
from meshpact.certs.wholedir import BrokenDirectory, exists, make_whole, read_file

DEFAULT_ISSUER: Final = "https://issuer.meshpact.localhost"
"""The `iss` of tokens where nobody says otherwise; the name leads nowhere (RFC 6761, 6.3)."""

CLIENT_ID: Final = "meshpact"
DEFAULT_LIFETIME: Final = timedelta(hours=1)
MAX_LIFETIME: Final = timedelta(hours=24)
MAX_USER: Final = 1024

KEY_FILE: Final = "key.pem"
KEYS_FILE: Final = "jwks.json"
"""The public keys (RFC 7517), for the `file` of an issuer in mesh.yaml."""

_ALGORITHM: Final = "ES256"


class Issuer:
    """The issuer of one directory. Made by `init` or `load`."""

    def __init__(self, key: ECKey) -> None:
        self._key = key

    @classmethod
    def init(cls, directory: Path) -> Issuer:
        """Makes an issuer in `directory`, or loads the one that is there."""
        if not exists(directory):
            make_whole(directory, _fill)
        return cls.load(directory)

    @classmethod
    def load(cls, directory: Path) -> Issuer:
        """The issuer in `directory`. IssuerError `state` names the file that is amiss."""
        if not exists(directory):
            raise IssuerError(
                "state",
                f"there is no token issuer in {directory}: make one by meshpact certs init "
                "--trust-domain DOMAIN, the trust_domain of mesh.yaml",
            )
        try:
            return cls(_load(directory))
        except BrokenDirectory as broken:
            raise IssuerError(
                "state",
                f"{broken}: put the right file back, or remove {directory} and run meshpact certs "
                "init to start with a new key (tokens issued before are worth nothing then)",
            ) from None

    def mint(
        self,
        user: str,
        *,
        audience: str | Collection[str],
        scopes: Collection[str] = (),
        groups: Collection[str] = (),
        lifetime: timedelta = DEFAULT_LIFETIME,
        issuer: str = DEFAULT_ISSUER,
        client_id: str = CLIENT_ID,
        groups_claim: str = "groups",
        certificate: bytes | None = None,
        now: float | None = None,
    ) -> str:
        """A signed token for `user` (its `sub`). It is a secret: never log it.

        With `certificate` (PEM, its first one) the token is bound to it (RFC 8705): only the holder
        of its key can use it. IssuerError `user`, `audience`, `scope`, `lifetime`, `certificate`
        for what a token cannot say.
        """
        audiences = [audience] if isinstance(audience, str) else list(audience)
        _check(user, audiences, scopes, lifetime)
        moment = int(time.time() if now is None else now)
        claims: dict[str, object] = {
            "iss": issuer,
            "sub": user,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "exp": moment + int(lifetime.total_seconds()),
            "iat": moment,
            "jti": secrets.token_urlsafe(16),
            "client_id": client_id,
        }
        if scopes:
            claims["scope"] = " ".join(scopes)
        if groups:
            claims[groups_claim] = list(groups)
        if certificate is not None:
            thumbprint = certificate_thumbprint(certificate)
            if not thumbprint:
                raise IssuerError("certificate", "it holds no certificate in PEM")
            claims["cnf"] = {"x5t#S256": thumbprint}
        header = {"typ": "at+jwt", "alg": _ALGORITHM, "kid": self._key.thumbprint()}
        return jwt.encode(header, claims, self._key, algorithms=[_ALGORITHM])

    @property
    def key_set(self) -> Mapping[str, object]:
        """The public keys as a JSON Web Key Set."""
        return _key_set(self._key)

    def __repr__(self) -> str:
        return "Issuer()"


def _check(
    user: str, audiences: Collection[str], scopes: Collection[str], lifetime: timedelta
) -> None:
    if not user:
        raise IssuerError("user", "the user is empty: a token names somebody")
    if len(user) > MAX_USER or not user.isprintable():
        raise IssuerError(
            "user",
            f"the user is not a name: at most {MAX_USER} characters without control characters are "
            "allowed",
        )
    if not audiences or not all(audiences):
        raise IssuerError("audience", "the audience is empty: a token says whom it is for")
    for scope in scopes:
        # RFC 6749, 3.3: printable ASCII without space, quote and backslash.
        if not scope or not all("!" <= each <= "~" and each not in '"\\' for each in scope):
            raise IssuerError(
                "scope",
                f"{scope!a} is not a scope: printable ASCII without spaces, quotes and backslashes "
                "is allowed",
            )
    if not timedelta(seconds=1) <= lifetime <= MAX_LIFETIME:
        raise IssuerError(
            "lifetime",
            f"a lifetime of {lifetime.total_seconds():g} s was asked for: 1 s to 24 h are allowed",
        )


def _fill(directory: Path) -> None:
    key = ECKey.generate_key("P-256")
    write_whole(directory / KEY_FILE, key.as_pem(private=True))
    key_set = json.dumps(_key_set(key), indent=2) + "\n"
    write_whole(directory / KEYS_FILE, key_set.encode(), PUBLIC_FILE)


def _load(directory: Path) -> ECKey:
    path, keys = directory / KEY_FILE, directory / KEYS_FILE
    key_pem, keys_json = read_file(path), read_file(keys)
    try:
        key = ECKey.import_key(key_pem.decode())
        private = key.is_private and key.curve_name == "P-256"
    except (ValueError, JoseError):
        raise BrokenDirectory(path, "is not a readable PEM private key") from None
    if not private:
        raise BrokenDirectory(path, "is not a private key on the curve P-256")
    try:
        published = json.loads(keys_json)
    except ValueError:
        raise BrokenDirectory(keys, "is not JSON") from None
    if published != _key_set(key):
        raise BrokenDirectory(keys, f"does not hold the public key of {KEY_FILE}")
    return key


def _key_set(key: ECKey) -> dict[str, object]:
    public = dict(key.as_dict(private=False))
    public |= {"kid": key.thumbprint(), "use": "sig", "alg": _ALGORITHM}
    return {"keys": [public]}
