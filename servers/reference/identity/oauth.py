"""OAuth 2.0 over one transaction, by authlib: codes with PKCE, refresh tokens, revocation.

RFC 6749 and 7636 under the rules of RFC 9700; RFC 7009, 7523, 7662, 8707, 9207. There is no
password grant and no implicit one, and PKCE is S256 always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import AccessDeniedError
from sqlalchemy import Connection

from reference.identity import grants, usersessions
from reference.identity.clients import OPENID, Client, Clients
from reference.identity.grants import Code
from reference.identity.oauthgrants import CodeGrant, Pkce, RefreshGrant, client_of
from reference.identity.oauthrequest import Answer, Asked, At, Request
from reference.identity.oauthtokens import ClientAssertion, Introspection, Revocation, active
from reference.identity.settings import Lifetimes
from reference.identity.tokens import Subject, TokenMaker

REDIRECT = 303
"""RFC 9700, 4.12: a redirect never repeats the form that led to it."""


class Protocol:
    """The authorization server. Each method is work for one transaction that writes."""

    def __init__(
        self,
        clients: Clients,
        tokens: TokenMaker,
        lifetimes: Lifetimes,
        clock: Callable[[], float],
    ) -> None:
        self.clients = clients
        self.tokens = tokens
        self.lifetimes = lifetimes
        self.clock = clock

    @property
    def issuer(self) -> str:
        """The issuer's name, which is its origin too."""
        return self.tokens.issuer

    def authorize(self, connection: Connection, asked: Asked, cookie: str) -> Answer:
        """Answers a browser at the authorization endpoint; `cookie` is its session's secret."""
        client = self.clients.get(asked.get("client_id"))
        if (
            asked.twice
            or client is None
            or not client.check_redirect_uri(asked.get("redirect_uri"))
        ):
            # whoever asks so is not to be sent anywhere (RFC 6749, 4.1.2.1)
            return Answer(400, words="The page that sent you here asked for something it may not.")
        server = self._server(connection)
        return server.guarded(lambda: server.authorize(asked, client, cookie))

    def token(self, connection: Connection, asked: Asked) -> Answer:
        """Answers a client at the token endpoint."""
        return self._answered(connection, asked, lambda lib: lib.create_token_response(asked))

    def revoke(self, connection: Connection, asked: Asked) -> Answer:
        """Answers a client at the revocation endpoint."""
        name = str(Revocation.ENDPOINT_NAME)
        return self._answered(
            connection, asked, lambda lib: lib.create_endpoint_response(name, asked)
        )

    def introspect(self, connection: Connection, asked: Asked) -> Answer:
        """Answers a client at the introspection endpoint."""
        name = str(Introspection.ENDPOINT_NAME)
        return self._answered(
            connection, asked, lambda lib: lib.create_endpoint_response(name, asked)
        )

    def active(self, connection: Connection, token: str) -> Mapping[str, Any] | None:
        """What an access token says, None when it is worth nothing at this moment."""
        return active(self._at(connection), token)

    def _answered(self, connection: Connection, asked: Asked, make: Callable[[Any], Any]) -> Answer:
        if asked.twice:
            return _invalid(f"'{asked.twice}' is there more than once")
        server = self._server(connection)
        return server.guarded(lambda: cast(Answer, make(server)))

    def _at(self, connection: Connection) -> At:
        return At(connection, self.clients, self.tokens, self.lifetimes, self.clock())

    def _server(self, connection: Connection) -> _Server:
        return _Server(self._at(connection))


class _Server(AuthorizationServer):
    """authlib's server, for one request."""

    def __init__(self, at: At) -> None:
        super().__init__()
        self.at = at
        self.register_grant(CodeGrant, [Pkce()])
        self.register_grant(RefreshGrant)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)
        cast(Any, self).register_client_auth_method("private_key_jwt", ClientAssertion(at))

    def guarded(self, work: Callable[[], Answer]) -> Answer:
        """What the work answers. authlib raises ValueError for text that it cannot quote."""
        try:
            return work()
        except OAuth2Error as error:
            return self.handle_response(*cast("tuple[Any, Any, Any]", cast(Any, error)()))
        except ValueError:
            return _invalid("the request cannot be read")

    def authorize(self, asked: Asked, client: Client, cookie: str) -> Answer:
        lib = cast(Any, self)
        grant = lib.get_consent_grant(asked)
        signed = usersessions.of_cookie(self.at.connection, cookie, self.at.now)
        if signed is None:
            return Answer(401, sign_in=True)
        if not client.takes(signed.account):
            raise AccessDeniedError(
                redirect_uri=asked.get("redirect_uri"), state=asked.get("state") or None
            )
        usersessions.touch(self.at.connection, signed.session.id, self.at.now)
        answer = lib.create_authorization_response(grant.request, grant_user=signed, grant=grant)
        return cast(Answer, answer)

    def query_client(self, client_id: str) -> Any:
        """The client of an ID, None when there is none."""
        return self.at.clients.get(client_id)

    def generate_token(
        self,
        grant_type: str,
        client: Any,
        user: Any = None,
        scope: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, str | int]:
        """The answer of the token endpoint but for the refresh token: `save_token` adds it."""
        known, subject = cast(Client, client), cast(Subject, user)
        scopes = known.scopes_for(subject.account, (scope or "").split())
        made: dict[str, str | int] = {
            "token_type": "Bearer",
            "access_token": self.at.tokens.access(known, subject, set(scopes) - {OPENID}),
            "expires_in": self.at.tokens.lifetime,
            "scope": " ".join(scopes),
        }
        if OPENID in scopes and grant_type == CodeGrant.GRANT_TYPE:
            made["id_token"] = self.at.tokens.identity(known, subject)
        return made

    def save_token(self, token: dict[str, str | int], request: OAuth2Request) -> None:
        """Keeps the grant, and adds its next refresh token to the answer."""
        at = self.at
        if request.refresh_token is not None:
            token["refresh_token"] = grants.go_on(at.connection, request.refresh_token)
        else:
            code, client = cast(Code, request.authorization_code), client_of(request)
            token["refresh_token"] = grants.begin(at.connection, code, client.client_id, at.now)
        usersessions.touch(at.connection, cast(Subject, request.user).session.id, at.now)

    def create_oauth2_request(self, request: Any) -> OAuth2Request:
        """A request as authlib reads it."""
        return Request(cast(Asked, request), self.at.tokens.issuer)

    def send_signal(self, name: Any, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Answer:
        """An answer; where it leads back to a client, it says who gives it (RFC 9207)."""
        found = {str(name).lower(): str(value) for name, value in headers}
        location = found.pop("location", "")
        if location:
            to = add_params_to_uri(location, [("iss", self.at.tokens.issuer)])
            return Answer(REDIRECT, location=to)
        return Answer(status, cast("Mapping[str, Any]", body or {}), found)


def _invalid(words: str) -> Answer:
    return Answer(400, {"error": "invalid_request", "error_description": words})
