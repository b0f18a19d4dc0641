"""Which end user a call is made for: the one of the call whose handler runs here, if any may be.

Decided once for a method: one that takes no end user is never sent a token, and pays nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from meshpact.clients.errors import expired, own
from meshpact.clients.exchangewait import Outcome
from meshpact.interceptors.call import Call, EndUser
from meshpact.interceptors.errors import TOKEN_BINDING_MISMATCH, TOKEN_INVALID
from meshpact.interceptors.policy import EndUserRule
from meshpact.interceptors.spec import MethodSpec, Req, Res

Forward = Callable[[Call], str | Future[Outcome]]
"""The token to send for the end user of a call, "" for none; or the one that will be had soon.

Raises CallError when the method needs the user and the token may not or need not be sent.
"""


class Exchange(Protocol):
    """Where a token becomes one for another audience (RFC 8693). Never waits."""

    def offers(self, issuer: str) -> bool:
        """Whether the issuer exchanges its tokens."""
        ...

    def exchanged(self, user: EndUser, token: str, audience: str) -> str | Future[Outcome]:
        """The user's token for an audience: the one that is known, or one that is on its way."""
        ...


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What a channel knows of tokens and its callee.

    `audience` is the callee's own, `accepted` are by issuer those that every service of the mesh
    takes; a token that names none of them is exchanged for one that names the callee. Left empty,
    only what a contract itself demands (`access.audience`) is looked at.
    """

    audience: str = ""
    accepted: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    exchange: Exchange | None = None


ALONE: Final = Forwarding()
"""A channel that knows nothing of its mesh: no exchange."""


def forwarder(spec: MethodSpec[Req, Res], forwarding: Forwarding = ALONE) -> Forward | None:
    """How end users are passed on to one method; None when it takes none."""
    access, path = spec.policy.access, spec.path
    if access.end_user is EndUserRule.NONE:
        return None
    required = access.end_user is EndUserRule.REQUIRED
    demanded, binding = access.audience, access.bound_token
    own_audience, accepted, exchange = forwarding.audience, forwarding.accepted, forwarding.exchange

    def missing(user: EndUser) -> str:
        """The audience that the token lacks, "" when it will do as it is."""
        if demanded:
            return "" if demanded in user.audience else demanded
        known = accepted.get(user.issuer)
        if known is None or own_audience in user.audience or not known.isdisjoint(user.audience):
            return ""
        return own_audience

    def forward(call: Call) -> str | Future[Outcome]:
        user = call.user
        if user is None:
            return ""
        if user.bound or binding:
            if required:
                raise own(TOKEN_BINDING_MISMATCH, _UNBOUND if binding else _BOUND, path)
            return ""
        if user.expires <= time.time():
            raise expired(path)
        audience = missing(user)
        if not audience:
            return call.token
        if exchange is None or not exchange.offers(user.issuer):
            raise own(
                TOKEN_INVALID,
                f"The end user's token is not for {audience}, which this method demands, and "
                "mesh.yaml names no token_endpoint of its issuer to exchange it at: the call was "
                "not sent.",
                path,
            )
        return exchange.exchanged(user, call.token, audience)

    return forward


_BOUND: Final = (
    "The end user's token is bound to the certificate of the connection it came on (RFC 8705), so "
    "it cannot be passed on, and this method demands a user: the call was not sent."
)
_UNBOUND: Final = (
    "This method demands a token that is bound to this connection's certificate (RFC 8705), which "
    "an end user's token that is passed on cannot be: the call was not sent."
)
