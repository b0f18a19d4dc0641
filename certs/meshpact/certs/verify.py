"""The check of a peer's certificate chain against the trust bundle of its own trust domain.

X509-SVID standard, section 5. TLS itself is given the union of all bundles, in which one domain's
CA can vouch for another domain's ID; so every chain is checked again here, and fails closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.errors import PeerError as PeerError
from meshpact.certs.errors import SpiffeError, SvidError
from meshpact.certs.pem import read_certificates
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.svid import check_leaf, find_extension, read_extensions

MAX_CHAIN_BYTES: Final = 64 * 1024
"""Size limit of a peer's whole chain in PEM; real ones have 2 to 6 KiB."""

MAX_DEPTH: Final = 4
"""Intermediates at most between a leaf and its root."""

_CA_POLICY: Final = ExtensionPolicy.webpki_defaults_ca()
# The leaf's own rules are check_leaf's; here only critical extensions nobody knows are refused.
_LEAF_POLICY: Final = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who a verified peer is, and from when to when (seconds since the epoch).

    `until` is the first moment at which a certificate of the chain expires, not the leaf's alone.
    """

    id: SpiffeId
    not_before: float
    not_after: float
    serial: int
    until: float


def verify_peer(
    leaf_pem: bytes, chain_pem: bytes, bundles: Mapping[str, TrustBundle], now: float
) -> PeerIdentity:
    """The identity that a chain proves at `now` (seconds since the epoch).

    The first certificate of `leaf_pem` is the peer's own; `chain_pem` holds the intermediates, with
    or without the leaf first, or nothing. `bundles` maps a trust domain's name to its bundle.
    PeerError names the broken rule: those of `check_leaf`, and
    `size`, `pem`, `trust-domain`, `not-yet-valid`, `expired`, `chain`.
    """
    if len(leaf_pem) + len(chain_pem) > MAX_CHAIN_BYTES:
        raise PeerError(
            "size",
            f"the peer's certificates have {len(leaf_pem) + len(chain_pem)} bytes: "
            f"{MAX_CHAIN_BYTES} are allowed",
        )
    certificates = [*_certificates(leaf_pem), *_certificates(chain_pem)]
    if not leaf_pem.strip():
        raise PeerError("pem", "the peer showed no certificate: one is needed")
    leaf = certificates[0]
    intermediates = [each for each in certificates if each != leaf]
    try:
        spiffe_id = check_leaf(leaf)
    except SvidError as error:
        raise PeerError(error.rule, str(error)) from None
    bundle = bundles.get(spiffe_id.trust_domain.name)
    if bundle is None:
        raise PeerError(
            "trust-domain",
            f"{spiffe_id} is of the trust domain {spiffe_id.trust_domain}, which is not trusted "
            f"here: trusted are {', '.join(sorted(bundles)) or 'none'}",
        )
    not_before = leaf.not_valid_before_utc.timestamp()
    not_after = leaf.not_valid_after_utc.timestamp()
    _check_time(spiffe_id, not_before, not_after, now)
    until = _check_chain(spiffe_id, leaf, intermediates, bundle, now)
    return PeerIdentity(spiffe_id, not_before, not_after, leaf.serial_number, until)


def _certificates(pem: bytes) -> list[x509.Certificate]:
    if not pem.strip():
        return []
    try:
        return read_certificates(pem)
    except ValueError:
        raise PeerError("pem", "the peer's certificates are not readable PEM") from None


def _check_time(spiffe_id: SpiffeId, not_before: float, not_after: float, now: float) -> None:
    # Written so that a time that is not a number is refused too.
    if not now >= not_before:
        raise PeerError(
            "not-yet-valid",
            f"the certificate of {spiffe_id} is valid from {_moment(not_before)} on: check the "
            "clocks of both machines",
        )
    if not now <= not_after:
        raise PeerError(
            "expired", f"the certificate of {spiffe_id} expired at {_moment(not_after)}"
        )


def _check_chain(
    spiffe_id: SpiffeId,
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    bundle: TrustBundle,
    now: float,
) -> float:
    """When the first certificate of the chain that leads to the bundle expires."""
    verifier = (
        PolicyBuilder()
        .store(Store(list(bundle.roots)))
        .time(datetime.fromtimestamp(now, UTC))
        .max_chain_depth(MAX_DEPTH)
        .extension_policies(ca_policy=_CA_POLICY, ee_policy=_LEAF_POLICY)
        .build_client_verifier()
    )
    try:
        verified = verifier.verify(leaf, intermediates)
    except (VerificationError, ValueError, UnsupportedAlgorithm) as error:
        raise PeerError(
            "chain",
            f"no chain leads from the certificate of {spiffe_id} to the trust bundle of "
            f"{spiffe_id.trust_domain}: {error}",
        ) from None
    for authority in verified.chain[1:]:
        _check_authority(spiffe_id, authority)
    return min(each.not_valid_after_utc.timestamp() for each in verified.chain)


def _check_authority(spiffe_id: SpiffeId, authority: x509.Certificate) -> None:
    """A CA that carries a SPIFFE ID must carry its domain's, without a path (X509-SVID 3.2)."""
    try:
        names = find_extension(read_extensions(authority), x509.SubjectAlternativeName)
    except SvidError as error:
        raise PeerError("chain", f"a CA in the chain of {spiffe_id}: {error}") from None
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    for uri in uris:
        if not uri.startswith("spiffe:"):
            continue
        try:
            authority_id = SpiffeId.parse(uri)
        except SpiffeError as error:
            raise PeerError("chain", f"a CA in the chain of {spiffe_id}: {error}") from None
        if authority_id != spiffe_id.trust_domain.id:
            raise PeerError(
                "chain",
                f"the chain of {spiffe_id} leads over a CA with the ID {authority_id}: only "
                f"{spiffe_id.trust_domain.id} may sign for it",
            )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
