"""Which workload calls: its verified SPIFFE ID, from the certificate of the TLS connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Final

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.source import IdentitySource
from meshpact.certs.verify import PeerError, PeerIdentity, verify_peer
from meshpact.interceptors import errors
from meshpact.interceptors.call import Caller
from meshpact.interceptors.errors import StatusError

Bundles = Mapping[str, TrustBundle]
CACHE_ENTRIES: Final = 4096
PEM_KEY: Final = slice(-96, -32)
"""Where a PEM certificate has its signature: what differs most, and little to hash."""
REFRESH_SECONDS: Final = 0.5
"""How long changed trust bundles may take to be noticed."""
_BUNDLE_RULES: Final = frozenset({"trust-domain", "chain"})
"""Rules that a peer breaks only as long as its CA is not in the bundles."""


class Peers:
    """Verifies peers against the bundle of their own trust domain, once for each certificate chain.

    What is verified is remembered by the certificates themselves, compared whole, never by
    address, until the leaf expires or the trust bundles change.
    """

    def __init__(
        self,
        source: IdentitySource,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._bundles = source.current().bundles
        self._wall = wall
        self._refreshed = wall()
        self._verified: dict[bytes, tuple[bytes, bytes, Caller, float]] = {}
        self._lock = Lock()

    def verify(self, leaf: bytes, chain: bytes) -> tuple[Caller, float] | StatusError:
        """(the peer by its SPIFFE ID, seconds until its certificate expires), or the refusal:
        IDENTITY_MISSING, IDENTITY_INVALID or SVID_EXPIRED."""
        if not leaf:
            return missing()
        now = self._wall()
        if not 0.0 <= now - self._refreshed < REFRESH_SECONDS:
            self._refresh(now)
        known = self._verified.get(leaf[PEM_KEY])
        if known is not None and known[0] == leaf and known[1] == chain:
            if now < known[3]:
                return known[2], known[3] - now
            return _invalid_or_expired(PeerError("expired", "the certificate has expired"))
        bundles = self._bundles
        try:
            peer = verify_peer(leaf, chain, bundles, now)
        except PeerError as error:
            if error.rule in _BUNDLE_RULES:
                self._refresh(now)  # a caller may have a new CA a moment before we look again
            if bundles is self._bundles:
                return _invalid_or_expired(error)
            return self.verify(leaf, chain)
        return self._remember(leaf, chain, peer, bundles), peer.not_after - now

    def _remember(self, leaf: bytes, chain: bytes, peer: PeerIdentity, bundles: Bundles) -> Caller:
        caller = Caller(str(peer.id))
        with self._lock:
            if bundles is not self._bundles:  # they changed meanwhile: this is old knowledge
                return caller
            if len(self._verified) >= CACHE_ENTRIES:
                self._verified.pop(next(iter(self._verified)))
            self._verified[leaf[PEM_KEY]] = (leaf, chain, caller, peer.not_after)
        return caller

    def _refresh(self, now: float) -> None:
        self._refreshed = now
        bundles = self._source.current().bundles
        if bundles is not self._bundles and bundles != self._bundles:
            with self._lock:
                self._bundles = bundles
                self._verified = {}


def certificates(auth: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """(the peer's own certificate, the chain it sent), PEM, of grpc's facts; b"" for none."""
    try:
        return auth["x509_pem_cert"][0], auth["x509_pem_cert_chain"][0]
    except (KeyError, IndexError):
        leaf: Sequence[bytes] = auth.get("x509_pem_cert") or (b"",)
        return leaf[0], b""


def missing() -> StatusError:
    """The refusal of a caller that shows no certificate."""
    return StatusError(
        errors.IDENTITY_MISSING.code,
        "Unauthenticated: the caller shows no client certificate",
        reason=errors.IDENTITY_MISSING.name,
        domain=errors.DOMAIN,
    )


def _invalid_or_expired(error: PeerError) -> StatusError:
    expired = error.rule == "expired"
    reason = errors.SVID_EXPIRED if expired else errors.IDENTITY_INVALID
    return StatusError(
        reason.code,
        f"Unauthenticated: {error}",
        reason=reason.name,
        domain=errors.DOMAIN,
        metadata={"rule": error.rule},
    )
