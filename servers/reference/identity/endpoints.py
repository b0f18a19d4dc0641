"""What OAuth clients and resource servers ask over HTTP: tokens, keys, metadata (RFC 8414)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from meshpact.servers.storage.database import Database
from meshpact.servers.storage.errors import StorageUnavailable
from reference.identity.oauth import Protocol
from reference.identity.oauthrequest import CLIENT_AUTH, Answer, Asked
from reference.identity.signingkeys import ALGORITHM, KEYS_AGE, KeyFileError, SigningKeys
from reference.web.app import Site
from reference.web.cookies import HostCookie
from reference.web.forms import read_pairs
from reference.web.problems import Problem

log = logging.getLogger("acme.identity")

AWAY: Final = Answer(503, {"error": "temporarily_unavailable"}, {"retry-after": "2"})
AUTHORIZE: Final = "/authorize"
SESSION: Final = HostCookie("identity-session")
"""The browser's session at the authorization server."""
DEVICES: Final = HostCookie("identity-device")
"""What tells that somebody has signed in in this browser before."""


class Endpoints:
    """The endpoints that answer programs; and `/authorize`, which sends people to `sign_in`."""

    def __init__(self, site: Site, database: Database, protocol: Protocol, keys: SigningKeys):
        self._site = site
        self._database = database
        self._protocol = protocol
        self._keys = keys
        self.routes = [
            Route(AUTHORIZE, self._authorize),
            Route("/token", self._token, methods=["POST"]),
            Route("/revoke", self._revoke, methods=["POST"]),
            Route("/introspect", self._introspect, methods=["POST"]),
            Route("/jwks.json", self._jwks),
            Route("/.well-known/oauth-authorization-server", self._metadata),
            Route("/.well-known/openid-configuration", self._metadata),
        ]

    async def _authorize(self, request: Request) -> Response:
        asked = Asked("GET", AUTHORIZE, tuple(request.query_params.multi_items()))
        cookie = SESSION.read(request)
        answer = await self._database.write(
            lambda connection: self._protocol.authorize(connection, asked, cookie)
        )
        if answer.sign_in:
            return RedirectResponse(f"/login?{request.url.query}", 303)
        if answer.location:
            return RedirectResponse(answer.location, answer.status)
        words = answer.words or str(answer.body.get("error_description", "It cannot be read."))
        return self._site.problem(request, Problem(answer.status, words))

    async def _token(self, request: Request) -> Response:
        return await self._answer(request, self._protocol.token)

    async def _revoke(self, request: Request) -> Response:
        return await self._answer(request, self._protocol.revoke)

    async def _introspect(self, request: Request) -> Response:
        return await self._answer(request, self._protocol.introspect)

    async def _answer(
        self, request: Request, ask: Callable[[Connection, Asked], Answer]
    ) -> Response:
        answer = await self._answered(request, ask)
        never = {"cache-control": "no-store", "pragma": "no-cache"}
        return JSONResponse(dict(answer.body), answer.status, {**answer.headers, **never})

    async def _answered(
        self, request: Request, ask: Callable[[Connection, Asked], Answer]
    ) -> Answer:
        """What a program is told, in the form of RFC 6749, section 5.2, whatever happens."""
        authorization = request.headers.get("authorization", "")
        headers = {"Authorization": authorization} if authorization else {}
        try:
            asked = Asked("POST", request.url.path, tuple(await read_pairs(request)), headers)
            return await self._database.write(lambda connection: ask(connection, asked))
        except HTTPException as error:
            said = {"error": "invalid_request", "error_description": error.detail}
            return Answer(error.status_code, said)
        except StorageUnavailable:
            return AWAY
        except KeyFileError as error:
            log.error("no token was signed or read: %s", error)
            return AWAY

    async def _jwks(self, request: Request) -> Response:
        try:
            return _public({"keys": self._keys.published()})
        except KeyFileError as error:
            log.error("the keys cannot be published: %s", error)
            return JSONResponse(dict(AWAY.body), AWAY.status, AWAY.headers)

    async def _metadata(self, request: Request) -> Response:
        return _public(self.metadata())

    def metadata(self) -> dict[str, object]:
        """What this server is and can do (RFC 8414, section 2)."""
        issuer = self._protocol.issuer
        found: dict[str, object] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}{AUTHORIZE}",
            "token_endpoint": f"{issuer}/token",
            "revocation_endpoint": f"{issuer}/revoke",
            "introspection_endpoint": f"{issuer}/introspect",
            "end_session_endpoint": f"{issuer}/logout",
            "jwks_uri": f"{issuer}/jwks.json",
            "scopes_supported": self._protocol.clients.scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }
        for endpoint in ("token", "revocation", "introspection"):
            found[f"{endpoint}_endpoint_auth_methods_supported"] = list(CLIENT_AUTH)
            found[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = [ALGORITHM]
        return found


def _public(body: dict[str, object]) -> Response:
    return JSONResponse(body, headers={"cache-control": f"public, max-age={KEYS_AGE}"})
