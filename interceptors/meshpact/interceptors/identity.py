"""Which workload calls: its verified SPIFFE ID, from the certificate of the TLS connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Final

import msgspec

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.source import IdentitySource
from meshpact.certs.verify import PeerError, verify_peer
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


class Peer(msgspec.Struct, frozen=True, gc=False):
    """A verified peer: what it showed, who it is, and until when that holds (Unix time)."""

    leaf: bytes
    chain: bytes
    caller: Caller
    serial: int
    until: float


class Peers:
    """Verifies peers against the bundle of their own trust domain, once for each certificate chain.

    What is verified is remembered by the certificates themselves, compared whole, never by
    address, until one of the chain expires or the trust bundles change.
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
        self._verified: dict[bytes, Peer] = {}
        self._lock = Lock()

    def verify(self, leaf: bytes, chain: bytes) -> tuple[Peer, float] | StatusError:
        """(the peer, seconds until a certificate of its chain expires), or the refusal:
        IDENTITY_MISSING, IDENTITY_INVALID or SVID_EXPIRED."""
        if not leaf:
            return missing()
        now = self._wall()
        if not 0.0 <= now - self._refreshed < REFRESH_SECONDS:
            self._refresh(now)
        known = self._verified.get(leaf[PEM_KEY])
        if known is not None and now < known.until and known.leaf == leaf and known.chain == chain:
            return known, known.until - now
        bundles = self._bundles
        try:
            found = verify_peer(leaf, chain, bundles, now)
        except PeerError as error:
            if error.rule in _BUNDLE_RULES:
                self._refresh(now)  # a caller may have a new CA a moment before we look again
            if bundles is self._bundles:
                return _invalid_or_expired(error)
            return self.verify(leaf, chain)
        peer = Peer(leaf, chain, Caller(str(found.id)), found.serial, found.until)
        self._remember(peer, bundles)
        return peer, peer.until - now

    def _remember(self, peer: Peer, bundles: Bundles) -> None:
        with self._lock:
            if bundles is not self._bundles:  # they changed meanwhile: this is old knowledge
                return
            if len(self._verified) >= CACHE_ENTRIES:
                self._verified.pop(next(iter(self._verified)))
            self._verified[peer.leaf[PEM_KEY]] = peer

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
    # Whom else we trust is no business of one whom we do not.
    foreign = error.rule == "trust-domain"
    why = "the caller's trust domain is not trusted here" if foreign else str(error)
    return StatusError(
        reason.code,
        f"Unauthenticated: {why}",
        reason=reason.name,
        domain=errors.DOMAIN,
        metadata={"rule": error.rule},
    )
