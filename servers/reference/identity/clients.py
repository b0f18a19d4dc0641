"""The OAuth clients: who they are, where they may send a browser, what they may ask for.

`clients.yaml` says it; where a client's pages are is read in mesh.yaml, its public keys or its
secret in the state directory (`oauth/clients/NAME`).
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from authlib.oauth2.rfc6749 import ClientMixin
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from meshpact.mesh.config import MeshConfig
from reference.identity.accounts import Account

OPENID: Final = "openid"
KEYS_FILE: Final = "jwks.json"
SECRET_FILE: Final = "secret"  # noqa: S105
REGISTRY: Final = Path(__file__).parent / "clients.yaml"


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    audience: str
    scopes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    introspects: bool = False


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clients: dict[str, _Entry]
    needs: dict[str, tuple[str, ...]] = {}


class Client(ClientMixin):
    """One client; also what authlib asks about it (`ClientMixin`)."""

    def __init__(
        self,
        client_id: str,
        entry: _Entry,
        origin: str,
        folder: Path,
        needs: Mapping[str, Collection[str]],
    ) -> None:
        self.client_id = client_id
        self.name = entry.name
        self.audience = entry.audience
        self.resource = f"https://{entry.audience}"
        """The system as the client names it (RFC 8707), where tokens say `audience`."""
        self.scopes = frozenset(entry.scopes) | {OPENID}
        self.introspects = entry.introspects
        self.origin = origin
        self.redirect_uri = f"{origin}/callback"
        self.after_logout = f"{origin}/"
        self._groups = frozenset(entry.groups)
        self._needs = needs
        self._folder = folder

    def takes(self, account: Account) -> bool:
        """Whether somebody may use this client at all."""
        return not self._groups or not self._groups.isdisjoint(account.groups)

    def scopes_for(self, account: Account, asked: Collection[str]) -> list[str]:
        """Those of the scopes that the person may have."""
        return sorted(
            scope
            for scope in asked
            if scope in self.scopes
            and (scope not in self._needs or not account.groups.isdisjoint(self._needs[scope]))
        )

    def keys(self) -> KeySet:
        """Its public keys, read each time: a client may get a new one. None are none."""
        try:
            found = msgspec.json.decode((self._folder / KEYS_FILE).read_bytes())
            return KeySet.import_key_set(found)
        except (OSError, msgspec.DecodeError, JoseError, ValueError, KeyError, TypeError):
            return KeySet([])

    def _secret(self) -> bytes:
        path = self._folder / SECRET_FILE
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    return b""
                return file.read(1024).strip()
        except OSError:
            return b""

    def get_client_id(self) -> str:
        """Its ID."""
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        """None: a request has to name it."""
        return ""

    def get_allowed_scope(self, scope: Any) -> Any:
        """What it asks for; None when that is something it may not ask for."""
        asked = frozenset(str(scope or "").split())
        return " ".join(sorted(asked)) if asked <= self.scopes else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether it is the registered one, character by character (RFC 9700, 4.1.3)."""
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether it is the one in its file, if it has one that only the owner can read."""
        known = self._secret()
        return bool(known) and hmac.compare_digest(known, client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Every client proves who it is."""
        return method in ("private_key_jwt", "client_secret_basic")

    def check_response_type(self, response_type: str) -> bool:
        """Codes only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Codes and refresh tokens."""
        return grant_type in ("authorization_code", "refresh_token")

    def __repr__(self) -> str:
        return f"Client({self.client_id})"


class Clients:
    """All clients, by ID."""

    def __init__(self, origins: Mapping[str, str], folder: Path, registry: Path = REGISTRY) -> None:
        """`origins` are those of the services with pages, by name; `folder` holds their keys."""
        read = msgspec.yaml.decode(registry.read_bytes(), type=_File)
        self._clients = {
            name: Client(name, entry, origins.get(name, ""), folder / name, read.needs)
            for name, entry in read.clients.items()
        }

    def get(self, client_id: str) -> Client | None:
        """A client, None when there is none, or it has no pages."""
        return self._clients.get(client_id)

    @property
    def scopes(self) -> list[str]:
        """Every scope that some client may ask for."""
        return sorted({scope for each in self._clients.values() for scope in each.scopes})


def origins_of(config: MeshConfig) -> dict[str, str]:
    """Where the pages of each service are, as browsers see it."""
    found: dict[str, str] = {}
    for name, service in config.services.items():
        if service.web is not None:
            scheme = "https" if service.web.certificate else "http"
            found[name] = service.web.origin or f"{scheme}://{service.web.address}"
    return found
