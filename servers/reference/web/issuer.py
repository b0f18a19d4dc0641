"""The authorization server as a site talks to it: codes and refresh tokens for tokens.

RFC 6749 with PKCE (RFC 7636), RFC 8414 metadata, RFC 8707 resources, RFC 7009 revocation, and an
ID token (OpenID Connect Core) that says who has signed in.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from reference.web.clientkey import ClientKey
from reference.web.problems import IssuerError

TIMEOUT: Final = 5.0
LEEWAY: Final = 30
"""Seconds by which the issuer's clock may differ."""
ALGORITHM: Final = "ES256"
_ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "end_session_endpoint",
    "jwks_uri",
)


@dataclass(frozen=True)
class Tokens:
    """What the issuer gave. `expires` is on the wall clock; all of it is secret."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires: float
    scopes: frozenset[str]


@dataclass(frozen=True)
class Person:
    """Who has signed in, as the ID token says: `subject` names them in access tokens too."""

    subject: str = field(repr=False)
    name: str = field(repr=False)
    groups: frozenset[str]
    session: str = field(repr=False)
    """The session at the issuer (`sid`)."""


class Issuer:
    """One client of one issuer. `resource` is the system that the tokens are for (RFC 8707).

    `http` is for tests; it is not closed. Metadata and keys are fetched when they are first needed.
    """

    def __init__(
        self,
        name: str,
        key: ClientKey,
        *,
        redirect_uri: str,
        resource: str,
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.client_id = key.client_id
        self._key = key
        self._redirect_uri = redirect_uri
        self._resource = resource
        self._own = http is None
        self._http = http or new_client(name)
        self._clock = clock
        self._metadata: Mapping[str, str] = {}
        self._keys: KeySet | None = None

    async def close(self) -> None:
        """Closes its connections."""
        if self._own:
            await self._http.aclose()

    async def sign_in_url(self, state: str, nonce: str, challenge: str, scope: str) -> str:
        """Where to send the browser; `challenge` is that of PKCE, S256."""
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": self._resource,
        }
        return f"{await self._endpoint('authorization_endpoint')}?{urlencode(asked)}"

    async def sign_out_url(self, session: str, back: str) -> str:
        """Where to send the browser to end the session at the issuer, and come `back`."""
        asked = {
            "client_id": self.client_id,
            "logout_hint": session,
            "post_logout_redirect_uri": back,
        }
        return f"{await self._endpoint('end_session_endpoint')}?{urlencode(asked)}"

    async def redeem(self, code: str, verifier: str, nonce: str) -> tuple[Tokens, Person]:
        """Tokens for a code; IssuerError when it is worth nothing."""
        answer = await self._ask(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri,
                "code_verifier": verifier,
                "resource": self._resource,
            }
        )
        return self._tokens(answer), await self._person(answer.get("id_token"), nonce)

    async def refresh(self, tokens: Tokens) -> Tokens:
        """New tokens; the old refresh token is worth nothing afterwards."""
        return self._tokens(
            await self._ask(
                {
                    "grant_type": "refresh_token",
                    "refresh_token": tokens.refresh,
                    "resource": self._resource,
                }
            )
        )

    async def revoke(self, tokens: Tokens) -> None:
        """Ends the refresh token, and with it all that came of the same sign-in."""
        form = {"token": tokens.refresh, "token_type_hint": "refresh_token"}
        await self._post("revocation_endpoint", form)

    async def _ask(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        return _object(await self._post("token_endpoint", form))

    async def _post(self, endpoint: str, form: Mapping[str, str]) -> httpx.Response:
        where = await self._endpoint(endpoint)
        try:
            answer = await self._http.post(where, data={**form, **self._key.assertion(self.name)})
        except httpx.HTTPError as error:
            raise IssuerError("unreachable", type(error).__name__, retry=True) from error
        if answer.is_success:
            return answer
        reason = str(_object(answer).get("error", "invalid_answer"))
        status = answer.status_code
        raise IssuerError(reason, f"status {status}", retry=status in (408, 429) or status >= 500)

    def _tokens(self, answer: Mapping[str, Any]) -> Tokens:
        match answer:
            case {
                "access_token": str(access),
                "refresh_token": str(refresh),
                "expires_in": int(seconds),
                "token_type": str(kind),
            } if kind.lower() == "bearer":
                scopes = frozenset(str(answer.get("scope", "")).split())
                return Tokens(access, refresh, self._clock() + seconds, scopes)
            case _:
                raise IssuerError("invalid_answer", "the answer lacks a token", retry=True)

    async def _person(self, token: object, nonce: str) -> Person:
        if not isinstance(token, str):
            raise IssuerError("invalid_answer", "the answer lacks an ID token", retry=True)
        try:
            claims = jwt.decode(token, await self._key_set(token), algorithms=[ALGORITHM]).claims
            jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock()),
                leeway=LEEWAY,
                iss={"essential": True, "value": self.name},
                aud={"essential": True, "value": self.client_id},
                sub={"essential": True},
                exp={"essential": True},
                nonce={"essential": True, "value": nonce},
                sid={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise IssuerError("invalid_id_token", type(error).__name__) from None
        return Person(
            subject=str(claims["sub"]),
            name=str(claims.get("name", "")),
            groups=frozenset(map(str, claims.get("groups", ()))),
            session=str(claims["sid"]),
        )

    async def _key_set(self, token: str) -> KeySet:
        """The issuer's keys; fetched again when the token's is not among them."""
        kid = jws.extract_compact(token.encode()).headers().get("kid")
        keys = self._keys
        if keys is None or kid not in {key.kid for key in keys.keys}:
            found = await self._get(await self._endpoint("jwks_uri"))
            try:
                self._keys = keys = KeySet.import_key_set({"keys": found["keys"]})
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise IssuerError("invalid_keys", type(error).__name__, retry=True) from error
        return keys

    async def _endpoint(self, name: str) -> str:
        if not self._metadata:
            # RFC 8414, section 3.1; the issuer has no path of its own
            where = f"{self.name}/.well-known/oauth-authorization-server"
            found = await self._get(where)
            if found.get("issuer") != self.name:
                raise IssuerError("invalid_metadata", "they are not of this issuer", retry=True)
            if not all(str(found.get(each, "")).startswith(self.name) for each in _ENDPOINTS):
                raise IssuerError("invalid_metadata", "an endpoint is missing", retry=True)
            self._metadata = {each: str(found[each]) for each in _ENDPOINTS}
        return self._metadata[name]

    async def _get(self, where: str) -> dict[str, Any]:
        try:
            return _object((await self._http.get(where)).raise_for_status())
        except httpx.HTTPError as error:
            raise IssuerError("unreachable", type(error).__name__, retry=True) from error


def new_client(issuer: str) -> httpx.AsyncClient:
    """Connections to an issuer: no proxy, no redirects, the authorities of SSL_CERT_FILE."""
    verify = ssl.create_default_context() if issuer.startswith("https:") else False
    return httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=verify)


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise IssuerError("invalid_answer", "it is no JSON object", retry=True) from None
