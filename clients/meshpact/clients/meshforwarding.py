"""How end users are passed on in a mesh, as mesh.yaml describes it."""

from __future__ import annotations

from pathlib import Path

from meshpact.clients.exchange import TokenExchange
from meshpact.clients.exchangewire import Endpoint
from meshpact.clients.forwarding import Exchange, Forwarding
from meshpact.mesh.config import MeshConfig


def exchange_for(config: MeshConfig) -> TokenExchange | None:
    """The exchange at the issuers that have a `token_endpoint`; None when none has one."""
    offering = [issuer for issuer in config.issuers if issuer.token_endpoint]
    if not offering:
        return None
    return TokenExchange(
        {
            issuer.issuer: Endpoint(
                issuer.token_endpoint,
                issuer.client_id,
                Path(issuer.client_secret_file) if issuer.client_secret_file else None,
            )
            for issuer in offering
        }
    )


def forwarding_to(config: MeshConfig, callee: str, exchange: Exchange | None = None) -> Forwarding:
    """What a channel to a service (its name in mesh.yaml) is told about tokens."""
    return Forwarding(
        audience=config.services[callee].audience,
        accepted={issuer.issuer: frozenset(issuer.audiences) for issuer in config.issuers},
        exchange=exchange,
    )
