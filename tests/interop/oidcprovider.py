"""A real OpenID provider in a process of its own, and the browser of a person who logs in there."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from interop import oidcbuild

CALLBACK: Final = "https://shop.demo.test/callback"
SCOPES: Final = ("demo.read", "demo.write")
WEB, BOUND, MESH = "shop-web", "shop-desk", "mesh"
"""Clients: a web page (public), a program with a certificate (its tokens are bound), the mesh."""


@dataclass(frozen=True)
class Resource:
    """What tokens for one audience are like: their lifetime in seconds, `jwt` or `opaque`."""

    ttl: int = 600
    format: str = "jwt"


@dataclass(frozen=True)
class Tls:
    """Files of the HTTPS listener: its certificate, its key, the CA of the clients it takes."""

    cert: Path
    key: Path
    ca: Path


@dataclass(frozen=True)
class TokenSet:
    """What the token endpoint gave."""

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)


class OidcProvider:
    """oidc-provider on the loopback address. `resources` are by audience; see provider.mjs."""

    def __init__(
        self,
        folder: Path,
        resources: Mapping[str, Resource],
        tls: Tls,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        node = oidcbuild.node()
        assert node is not None, oidcbuild.MISSING
        self.secret = secrets.token_urlsafe(24)
        self._settings = {
            "clients": self._clients(),
            "resources": {
                name: {"ttl": each.ttl, "format": each.format} for name, each in resources.items()
            },
            "scopes": " ".join(SCOPES),
            "groups": {user: list(names) for user, names in (groups or {}).items()},
            "tls": {"cert": str(tls.cert), "key": str(tls.key), "ca": str(tls.ca)},
        }
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [node.node, folder / "provider.mjs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        self.issuer = ""
        self.mtls = ""
        self.keys: list[str] = []
        """Key IDs that are published, the one that signs first."""

    def _clients(self) -> list[dict[str, object]]:
        web: dict[str, object] = {
            "client_id": WEB,
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "redirect_uris": [CALLBACK],
        }
        mesh: dict[str, object] = {
            "client_id": MESH,
            "client_secret": self.secret,
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"],
            "response_types": [],
            "redirect_uris": [],
        }
        bound = {"client_id": BOUND, "tls_client_certificate_bound_access_tokens": True}
        return [web, web | bound, mesh]

    def __enter__(self) -> OidcProvider:
        try:
            self._tell(self._settings)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()

    def rotate(self) -> None:
        """A new key signs from now on; the ones before it stay published."""
        self._tell({"do": "rotate"})

    def retire(self) -> None:
        """Only the key that signs stays published."""
        self._tell({"do": "retire"})

    def _tell(self, message: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process has ended"}
        if "error" in answer:
            self._said.seek(0)
            raise AssertionError(f"oidc-provider: {answer['error']}\n{self._said.read()}")
        self.issuer, self.mtls, self.keys = answer["issuer"], answer["mtls"], answer["keys"]


class Person:
    """Somebody at a browser: logs in, consents, and gets tokens by the program `client`.

    `token_client` is the HTTP client for the token endpoint where a certificate must be shown.
    """

    def __init__(
        self,
        provider: OidcProvider,
        name: str,
        *,
        client: str = WEB,
        token_client: httpx.Client | None = None,
    ) -> None:
        self.name = name
        self.provider = provider
        self._client = client
        # No cookies are kept from one login to the next: each is whole.
        self._token_client = token_client or httpx.Client(trust_env=False)
        self._base = provider.mtls if token_client is not None else provider.issuer

    def close(self) -> None:
        """Closes the connections."""
        self._token_client.close()

    def login(self, resource: str, scopes: Sequence[str] = SCOPES) -> TokenSet:
        """Authorization code with PKCE (RFC 7636), through the pages for login and consent."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        query = {
            "client_id": self._client,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": " ".join(("openid", "offline_access", *scopes)),
            "prompt": "consent",
            "resource": resource,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "state": secrets.token_urlsafe(8),
            "nonce": secrets.token_urlsafe(8),
        }
        with httpx.Client(trust_env=False, timeout=30) as browser:
            answer = browser.get(f"{self.provider.issuer}/auth", params=query)
            while True:
                if answer.is_redirect:
                    place = str(answer.next_request.url) if answer.next_request else ""
                    if place.startswith(CALLBACK):
                        break
                    answer = browser.get(place)
                    continue
                assert answer.status_code == 200, answer.text
                form = _Form.of(answer.text)
                values = form.values | ({"login": self.name, "password": "x"} if form.asks else {})
                answer = browser.post(form.action, data=values)
        found = parse_qs(urlsplit(place).query)
        assert found["state"] == [query["state"]], place
        return self._tokens(
            grant_type="authorization_code",
            code=found["code"][0],
            redirect_uri=CALLBACK,
            code_verifier=verifier,
        )

    def refresh(self, tokens: TokenSet) -> TokenSet:
        """New tokens for a refresh token."""
        return self._tokens(grant_type="refresh_token", refresh_token=tokens.refresh)

    def revoke(self, tokens: TokenSet) -> None:
        """Ends the grant behind a refresh token (RFC 7009)."""
        answer = self._token_client.post(
            f"{self._base}/token/revocation",
            data={"token": tokens.refresh, "client_id": self._client},
        )
        assert answer.status_code == 200, answer.text

    def _tokens(self, **form: str) -> TokenSet:
        answer = self._token_client.post(
            f"{self._base}/token", data={**form, "client_id": self._client}
        )
        assert answer.status_code == 200, answer.text
        given: dict[str, str] = answer.json()
        return TokenSet(
            given["access_token"], given.get("refresh_token", ""), given.get("id_token", "")
        )


class _Form(HTMLParser):
    """The form of a page: where it goes, what it holds, and whether it asks who one is."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.values: dict[str, str] = {}
        self.asks = False

    @classmethod
    def of(cls, page: str) -> _Form:
        form = cls()
        form.feed(page)
        assert form.action, page
        return form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given["action"]
        elif tag == "input" and given.get("type") == "hidden":
            self.values[given["name"]] = given.get("value", "")
        elif tag == "input" and given.get("name") == "login":
            self.asks = True
