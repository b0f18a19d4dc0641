"""How clients prove who they are, and the endpoints for tokens that are there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from joserfc.jwk import KeySet

from meshpact.servers.signedtokens import MAX_TOKEN
from reference.identity import grants, usersessions
from reference.identity.clients import Client
from reference.identity.grants import Grant
from reference.identity.oauthrequest import CLIENT_AUTH, At

LONGEST_ASSERTION: Final = 3600.0
"""Seconds from now until an assertion may expire at most."""


class ClientAssertion(JWTBearerClientAssertion):
    """private_key_jwt (RFC 7523): for this issuer by its name alone, and each one once."""

    def __init__(self, at: At) -> None:
        super().__init__(token_url=None)
        self._at = at

    def __call__(self, query_client: Any, request: Any) -> Any:
        """The client that an assertion proves, None without one. InvalidClientError for all else:
        authlib lets out what JSON of strangers may raise."""
        try:
            if len(request.form.get("client_assertion", "")) > MAX_TOKEN:
                raise ValueError
            return cast(Any, super()).__call__(query_client, request)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise InvalidClientError(description="The assertion cannot be read.") from None

    def get_audiences(self) -> list[str]:
        """The issuer's name, and no address of an endpoint."""
        return [self._at.tokens.issuer]

    def validate_jti(self, claims: Any, jti: Any) -> bool:
        """Whether it is the first use."""
        until = float(claims["exp"]) + self.leeway
        if until > self._at.now + LONGEST_ASSERTION + self.leeway:
            raise InvalidClientError(description="The assertion is good for more than an hour.")
        return grants.first_seen(self._at.connection, f"{claims['sub']} {jti}", until)

    def authenticate_client(self, client: Any) -> Any:
        """Its keys are there: it may use them."""
        return client

    def resolve_client_public_key(self, client: Any) -> KeySet:
        """The client's keys."""
        keys = cast(Client, client).keys()
        if not keys.keys:
            raise InvalidClientError(description="The client has no keys here.")
        return keys


class _Access:
    """An access token of ours, as the endpoints see it."""

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self.claims = claims

    @property
    def grant_id(self) -> str:
        return str(self.claims["grant"])

    def check_client(self, client: Any) -> bool:
        return bool(client.get_client_id() == self.claims["client_id"])

    def is_expired(self) -> bool:
        return False  # such a token is not found at all

    def is_revoked(self) -> bool:
        return False


class Revocation(RevocationEndpoint):
    """RFC 7009: whichever token is given back, its whole grant ends."""

    CLIENT_AUTH_METHODS = CLIENT_AUTH

    def check_params(self, request: Any, client: Any) -> None:
        """A hint may say anything; it is not needed."""
        if "token" not in request.form:
            raise InvalidRequestError("Missing 'token' in request.")

    def query_token(self, token_string: str, token_type_hint: Any) -> Any:
        """The token, whichever it is."""
        at = cast(At, self.server.at)
        found = grants.of_refresh_token(at.connection, token_string)
        if found is not None:
            return found
        claims = at.tokens.read(token_string)
        return None if claims is None else _Access(claims)

    def revoke_token(self, token: Any, request: Any) -> None:
        """Ends the grant."""
        at = cast(At, self.server.at)
        grants.end(at.connection, token.id if isinstance(token, Grant) else token.grant_id)


class Introspection(IntrospectionEndpoint):
    """RFC 7662, of access tokens: for clients that are resource servers, and a client's own."""

    CLIENT_AUTH_METHODS = CLIENT_AUTH

    def check_params(self, request: Any, client: Any) -> None:
        """A hint may say anything; it is not needed."""
        if "token" not in request.form:
            raise InvalidRequestError("Missing 'token' in request.")

    def query_token(self, token_string: str, token_type_hint: Any) -> Any:
        """The token, if it is good at this moment."""
        claims = active(cast(At, self.server.at), token_string)
        return None if claims is None else _Access(claims)

    def check_permission(self, token: Any, client: Any, request: Any) -> bool:
        """Whether the client may know."""
        return cast(Client, client).introspects or bool(token.check_client(client))

    def introspect_token(self, token: Any) -> dict[str, Any]:
        """What the token says, and nothing of how it is kept."""
        claims = cast(_Access, token).claims
        said = ("iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "groups", "sid")
        return {"token_type": "Bearer", **{name: claims[name] for name in said}}


def active(at: At, token: str) -> Mapping[str, Any] | None:
    """What an access token says, None when it is worth nothing at this moment."""
    claims = at.tokens.read(token)
    if claims is None or grants.get(at.connection, str(claims["grant"])) is None:
        return None
    signed = usersessions.by_id(at.connection, str(claims["sid"]), at.now)
    return None if signed is None else claims
