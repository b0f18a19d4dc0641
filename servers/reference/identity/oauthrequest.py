"""What OAuth endpoints are asked and answer, free of any web framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from sqlalchemy import Connection

from reference.identity.clients import Clients
from reference.identity.settings import Lifetimes
from reference.identity.tokens import TokenMaker

CLIENT_AUTH: Final = ("private_key_jwt", "client_secret_basic")
"""How clients prove who they are (OpenID Connect Core, section 9)."""


@dataclass(frozen=True)
class Asked:
    """A request as it came: `parameters` of the query or of the form, in order."""

    method: str
    path: str
    parameters: tuple[tuple[str, str], ...] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def twice(self) -> str:
        """A parameter that is there more than once (RFC 6749, 3.1 and 3.2), "" for none.

        Nor may `resource` be: a token is for one system.
        """
        seen: set[str] = set()
        for name, _ in self.parameters:
            if name in seen:
                return name
            seen.add(name)
        return ""

    def get(self, name: str) -> str:
        """A parameter, "" when it is not there."""
        return dict(self.parameters).get(name, "")


@dataclass(frozen=True)
class Answer:
    """What to answer: JSON, a redirect, or words for the person where a redirect is not safe."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    location: str = field(default="", repr=False)
    words: str = ""
    sign_in: bool = False
    """Nobody is signed in: show the form, then ask again."""


@dataclass(frozen=True)
class At:
    """Where a request is answered: in which transaction, when, knowing what."""

    connection: Connection
    clients: Clients
    tokens: TokenMaker
    lifetimes: Lifetimes
    now: float


class Request(OAuth2Request):
    """A request as authlib reads it."""

    def __init__(self, asked: Asked, issuer: str) -> None:
        cast(Any, super()).__init__(asked.method, issuer + asked.path, headers=asked.headers)
        self._parameters = dict(asked.parameters)
        self.payload = BasicOAuth2Payload(self._parameters)

    @property
    def args(self) -> dict[str, str | None]:
        """The query."""
        return dict(self._parameters)

    @property
    def form(self) -> dict[str, str]:
        """The form."""
        return self._parameters
