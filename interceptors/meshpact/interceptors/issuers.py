"""The verifier of end users' tokens, as the `issuers` of a mesh.yaml describe it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from meshpact.interceptors.introspection import Introspection
from meshpact.interceptors.keys import FileKeys, KeysError, KeySource
from meshpact.interceptors.remote_keys import RemoteKeys
from meshpact.interceptors.tokens import Asking, Issuer, Tokens
from meshpact.mesh import model
from meshpact.mesh.config import MeshConfig


def tokens_for(
    config: MeshConfig,
    service: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Tokens:
    """What verifies the tokens that calls of one service bring (its name in mesh.yaml).

    The age of keys goes by `clock`, tokens and answers about them go by `wall`, all in seconds.
    Raises KeysError when a file with keys or with a client's secret cannot be used.
    """
    asked = next((entry for entry in config.issuers if entry.introspection), None)
    own = config.services.get(service)
    return Tokens(
        [_issuer(entry, clock) for entry in config.issuers],
        audience=own.audience if own is not None else "",
        asking=_asking(asked, clock, wall) if asked is not None else None,
        wall=wall,
    )


def _issuer(entry: model.Issuer, clock: Callable[[], float]) -> Issuer:
    try:
        keys = _keys(entry, clock)
    except KeysError as error:
        raise KeysError(f"issuer {entry.issuer}: {error}") from None
    return Issuer(
        entry.issuer,
        keys,
        frozenset(entry.audiences),
        frozenset(entry.algorithms),
        entry.token_type.value,
        entry.groups_claim,
        entry.client_id,
    )


def _keys(entry: model.Issuer, clock: Callable[[], float]) -> KeySource | None:
    if entry.file:
        return FileKeys(Path(entry.file))
    if not entry.jwks and not entry.discovery:
        return None
    if entry.jwks:
        return RemoteKeys(entry.jwks, clock=clock)
    return RemoteKeys(entry.discovery, issuer=entry.issuer, clock=clock)


def _asking(entry: model.Issuer, clock: Callable[[], float], wall: Callable[[], float]) -> Asking:
    try:
        return Introspection(
            entry.issuer,
            entry.introspection,
            entry.client_id,
            Path(entry.client_secret_file),
            clock=clock,
            wall=wall,
        )
    except KeysError as error:
        raise KeysError(f"issuer {entry.issuer}: {error}") from None
