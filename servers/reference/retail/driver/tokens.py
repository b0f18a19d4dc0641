"""End users' access tokens, from the development issuer of this machine."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection
from datetime import timedelta
from typing import Final

from meshpact.certs.issuer import Issuer
from meshpact.servers.context import ServiceContext

SCOPES: Final = ("orders.read", "orders.write", "store.read")
LIFETIME: Final = timedelta(hours=1)
KEPT: Final = 5000
"""Tokens kept at most."""


class Tokens:
    """One token for each customer, minted again before it expires."""

    def __init__(self, issuer: Issuer, name: str, audience: str) -> None:
        self._issuer = issuer
        self._name = name
        self._audience = audience
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()

    @classmethod
    def of(cls, context: ServiceContext) -> Tokens:
        """The issuer that the mesh trusts for its end users."""
        trusted = context.config.issuers[0]
        return cls(Issuer.load(context.state.issuer), trusted.issuer, trusted.audiences[0])

    def of_customer(self, customer: str) -> str:
        """A customer's token, with all the scopes a storefront asks for."""
        now = time.time()
        token, until = self._kept.get(customer, ("", 0.0))
        if until < now:
            token = self.mint(customer, SCOPES)
            self._kept[customer] = token, now + LIFETIME.total_seconds() * 0.8
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return token

    def mint(self, customer: str, scopes: Collection[str], *, age: float = 0.0) -> str:
        """A new token, as if it had been minted `age` seconds ago."""
        return self._issuer.mint(
            customer,
            audience=self._audience,
            scopes=scopes,
            lifetime=LIFETIME,
            issuer=self._name,
            now=time.time() - age,
        )
