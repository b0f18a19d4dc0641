"""The two grants: a code with PKCE, and the refresh tokens that come of it."""

from __future__ import annotations

from typing import Any, cast

from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from reference.identity import grants, usersessions
from reference.identity.clients import Client
from reference.identity.grants import Code, Grant
from reference.identity.oauthrequest import CLIENT_AUTH, At
from reference.identity.tokens import Subject
from reference.identity.usersessions import Signed

LONGEST_NONCE = 200


class InvalidTarget(OAuth2Error):
    """Tokens for that system are not given to this client, or not by this grant (RFC 8707)."""

    error = "invalid_target"
    description = "Tokens for this resource cannot be had here."


def client_of(request: OAuth2Request) -> Client:
    """The client of a request that has one."""
    return cast(Client, request.client)


def parameter(request: OAuth2Request, name: str) -> str:
    """A parameter of a request, "" when it is not there."""
    return request.form.get(name, "")


class Pkce(CodeChallenge):
    """PKCE with S256, which nobody can leave out; and what else a request must say."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012

    def validate_code_challenge(self, grant: Any, redirect_uri: Any) -> None:
        """Before anybody signs in; authlib's own check lets a request without a challenge pass."""
        request = cast(OAuth2Request, grant.request)
        if not parameter(request, "code_challenge"):
            raise InvalidRequestError("PKCE is required: Missing 'code_challenge'")
        if parameter(request, "code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: 'code_challenge_method' must be S256")
        cast(Any, super()).validate_code_challenge(grant, redirect_uri)
        nonce = parameter(request, "nonce")
        if len(nonce) > LONGEST_NONCE or not nonce.isprintable():
            raise InvalidRequestError(f"'nonce' is no text of at most {LONGEST_NONCE} characters")
        client = client_of(request)
        if parameter(request, "resource") not in ("", client.resource):
            raise InvalidTarget


class CodeGrant(AuthorizationCodeGrant):
    """Codes: for one client, one redirect URI, one use, a minute."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH

    @property
    def _at(self) -> At:
        return cast(At, self.server.at)

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        """Keeps what the code stands for; scopes are those that the person may have."""
        at, client, signed = self._at, client_of(request), cast(Signed, request.user)
        grants.add_code(
            at.connection,
            code,
            at.now + at.lifetimes.code,
            session_id=signed.session.id,
            client_id=client.client_id,
            redirect_uri=parameter(request, "redirect_uri"),
            challenge=parameter(request, "code_challenge"),
            scope=" ".join(client.scopes_for(signed.account, request.scope.split())),
            resource=client.resource,
            nonce=parameter(request, "nonce"),
        )

    def query_authorization_code(self, code: str, client: Any) -> Code | None:
        """Uses the code up before anything else is looked at: there is one try."""
        at = self._at
        found = grants.use_code(at.connection, code, client.client_id, at.now)
        if found is not None and parameter(self.request, "resource") not in ("", found.resource):
            raise InvalidTarget
        return found

    def delete_authorization_code(self, authorization_code: Any) -> None:
        """It is kept, as used, to notice a second use."""

    def authenticate_user(self, authorization_code: Any) -> Subject | None:
        """Who signed in, if they are signed in still."""
        code = cast(Code, authorization_code)
        signed = usersessions.by_id(self._at.connection, code.session_id, self._at.now)
        if signed is None:
            return None
        return Subject(signed.account, signed.session, code.grant_id, code.nonce)


class RefreshGrant(RefreshTokenGrant):
    """Refresh tokens: each is good once, and gives the next one."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH
    INCLUDE_NEW_REFRESH_TOKEN = True

    @property
    def _at(self) -> At:
        return cast(At, self.server.at)

    def authenticate_refresh_token(self, refresh_token: str) -> Any:
        """Uses the token up; None when it, its grant or its session is over."""
        at, client = self._at, client_of(self.request)
        found = grants.use_refresh_token(at.connection, refresh_token, client.client_id)
        if found is None or usersessions.by_id(at.connection, found.session_id, at.now) is None:
            return None
        if parameter(self.request, "resource") not in ("", found.resource):
            raise InvalidTarget
        return found

    def authenticate_user(self, refresh_token: Any) -> Subject | None:
        """Whose it is."""
        grant = cast(Grant, refresh_token)
        signed = usersessions.by_id(self._at.connection, grant.session_id, self._at.now)
        return None if signed is None else Subject(signed.account, signed.session, grant.id)

    def revoke_old_credential(self, refresh_token: Any) -> None:
        """It is used up already."""
