"""How a site proves to the authorization server that it is itself: private_key_jwt (RFC 7523).

The key is made where it is used and never leaves: beside it lies the public key set, which the
authorization server of the same machine reads.
"""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from meshpact.certs.files import PUBLIC_FILE, write_whole
from meshpact.certs.wholedir import BrokenDirectory, exists, make_whole, read_file

CLIENTS: Final = ("oauth", "clients")
"""Where in the state directory the keys of clients are, one folder a client."""
KEY_FILE: Final = "key.pem"
KEYS_FILE: Final = "jwks.json"
ALGORITHM: Final = "ES256"
LIFETIME: Final = 60
"""Seconds for which an assertion is good."""
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientKeyError(Exception):
    """A key cannot be used; says which file, why, and what to do."""


class ClientKey:
    """The key of one OAuth client, in a folder of its own (0700)."""

    def __init__(self, client_id: str, key: ECKey) -> None:
        self.client_id = client_id
        self._key = key

    @classmethod
    def of(cls, folder: Path, client_id: str) -> ClientKey:
        """The key in `folder`, made when there is none."""
        if not exists(folder):
            make_whole(folder, _fill)
        path = folder / KEY_FILE
        try:
            key = ECKey.import_key(read_file(path).decode())
        except (BrokenDirectory, JoseError, ValueError):
            raise ClientKeyError(
                f"{path} holds no private key: remove {folder}, and a new one is made at the start"
            ) from None
        return cls(client_id, key)

    def assertion(self, audience: str) -> dict[str, str]:
        """The form fields that prove who asks, once, to the issuer `audience`."""
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(24),
            "iat": now,
            "exp": now + LIFETIME,
        }
        header = {"alg": ALGORITHM, "kid": self._key.thumbprint()}
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": jwt.encode(header, claims, self._key, algorithms=[ALGORITHM]),
        }

    def __repr__(self) -> str:
        return f"ClientKey({self.client_id})"


def _fill(folder: Path) -> None:
    key = ECKey.generate_key("P-256")
    public = dict(key.as_dict(private=False))
    public |= {"kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM}
    write_whole(folder / KEY_FILE, key.as_pem(private=True))
    keys = json.dumps({"keys": [public]}, indent=2) + "\n"
    write_whole(folder / KEYS_FILE, keys.encode(), PUBLIC_FILE)
