"""What an evil trust domain may try: certificates that claim IDs which its CA must not vouch for.

`forgeries` lists them. Each is a chain and a key, as a TLS client or server would show them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

import forgedcerts as forged
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.profile import Signer
from meshpact.certs.spiffe import TrustDomain

OWN, PARTNER, OTHER, STRANGER = (
    TrustDomain(name)
    for name in ("acme.example", "partner.example", "other.example", "stranger.example")
)
SERVER, CLIENT = "inventory", "orders"
"""Workloads of the own domain: the one that is attacked, and the one that may call it."""
GUEST = "spiffe://partner.example/shop"
"""The federated workload that may call too."""


def authority(
    name: str, issuer: Signer | None = None, uris: Sequence[str] = (), depth: int | None = None
) -> Signer:
    """A CA without any restraint: no name that it has to keep to, any depth below it."""
    key = forged.new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    valid = forged.around_now()
    by = issuer.certificate.subject if issuer else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid.start)
        .not_valid_after(valid.end)
        .add_extension(x509.BasicConstraints(True, depth), critical=True)
        .add_extension(forged.key_usage(frozenset({"key_cert_sign", "crl_sign"})), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if issuer is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return Signer(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def _roots() -> dict[TrustDomain, Signer]:
    return {
        domain: forged.root(domain.name) if domain == OWN else authority(f"root of {domain}")
        for domain in (OWN, PARTNER, OTHER, STRANGER)
    }


@dataclass(frozen=True)
class Domains:
    """The roots of the own domain, of two federated ones, and of one that nobody trusts."""

    roots: dict[TrustDomain, Signer] = field(default_factory=_roots)

    def bundle(self, domain: TrustDomain) -> TrustBundle:
        """What is published of a domain."""
        return TrustBundle(domain, (self.roots[domain].certificate,))


@dataclass(frozen=True)
class Shown:
    """A certificate chain, leaf first, and the leaf's key, in PEM."""

    chain: bytes
    key: bytes


def shown(
    issuer: Signer,
    uris: Sequence[str],
    *above: x509.Certificate,
    dns: Sequence[str] = (),
    ca: bool = False,
    usages: frozenset[str] = frozenset({"digital_signature"}),
) -> Shown:
    """A leaf with these names, and the certificates above it."""
    key = forged.new_key()
    leaf = forged.leaf(issuer, uris=uris, dns=dns, key=key, ca=ca, usages=usages)
    return Shown(forged.pem(leaf, *above), forged.key_pem(key))


def honest(domains: Domains, domain: TrustDomain, name: str) -> Shown:
    """What a workload of a domain shows by right."""
    uri = f"spiffe://{domain}/{name}"
    return shown(domains.roots[domain], [uri], dns=[f"{name}.{domain}"])


Forge = Callable[[Domains], Shown]
_OURS = f"spiffe://{OWN}/{CLIENT}"
_THEIRS = GUEST


def _through(uris: Sequence[str], claimed: str) -> Forge:
    """The partner's root, an intermediate of its with these URI SANs, and a claimed ID."""

    def forge(domains: Domains) -> Shown:
        middle = authority("middle", domains.roots[PARTNER], uris)
        return shown(middle, [claimed], middle.certificate)

    return forge


def _beside_ours(domains: Domains) -> Shown:
    ours = domains.roots[OWN].certificate
    return shown(domains.roots[PARTNER], [_OURS], ours, domains.roots[PARTNER].certificate)


def _workload_as_ca(domains: Domains) -> Shown:
    key = forged.new_key()
    leaf = forged.leaf(domains.roots[PARTNER], uris=[GUEST], key=key)
    return shown(Signer(leaf, key), [_OURS], leaf)


def _signing_workload(domains: Domains) -> Shown:
    key = forged.new_key()
    leaf = forged.leaf(
        domains.roots[PARTNER],
        uris=[GUEST],
        key=key,
        ca=True,
        usages=frozenset({"digital_signature", "key_cert_sign"}),
    )
    return shown(Signer(leaf, key), [_OURS], leaf)


def _same_name(domains: Domains) -> Shown:
    """An intermediate whose name is that of the own root, by the partner's root."""
    ours = domains.roots[OWN].certificate
    middle = authority("unused", domains.roots[PARTNER])
    renamed = (
        x509.CertificateBuilder()
        .subject_name(ours.subject)
        .issuer_name(domains.roots[PARTNER].certificate.subject)
        .public_key(middle.key.public_key())
        .serial_number(ours.serial_number)
        .not_valid_before(ours.not_valid_before_utc)
        .not_valid_after(ours.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(forged.key_usage(frozenset({"key_cert_sign", "crl_sign"})), critical=True)
        .sign(domains.roots[PARTNER].key, hashes.SHA256())
    )
    return shown(Signer(renamed, middle.key), [_OURS], renamed)


def _cross_signed(domains: Domains) -> Shown:
    """The own root's name and key, signed by the partner: leads to both, and the leaf is theirs."""
    partner = domains.roots[PARTNER]
    middle = authority("cross", partner, [f"spiffe://{OWN}", f"spiffe://{PARTNER}"])
    return shown(middle, [_OURS], middle.certificate, domains.roots[OWN].certificate)


def _leaf_of(domain: TrustDomain, uris: Sequence[str], dns: Sequence[str] = ()) -> Forge:
    return lambda domains: shown(domains.roots[domain], uris, dns=dns)


def _without_key(domains: Domains) -> Shown:
    """A sound certificate of ours, and a key that is not its own."""
    return Shown(honest(domains, OWN, CLIENT).chain, forged.key_pem(forged.new_key()))


def _expired(domains: Domains) -> Shown:
    key = forged.new_key()
    past = forged.around_now(timedelta(hours=1), timedelta(minutes=-1))
    leaf = forged.leaf(domains.roots[OWN], uris=[_OURS], key=key, validity=past)
    return Shown(forged.pem(leaf), forged.key_pem(key))


FORGERIES: dict[str, Forge] = {
    "a federated root signs an ID of ours": _leaf_of(PARTNER, [_OURS]),
    "with the DNS name of ours too": _leaf_of(PARTNER, [_OURS], [f"{CLIENT}.{OWN}"]),
    "a federated root signs the server's own ID": _leaf_of(PARTNER, [f"spiffe://{OWN}/{SERVER}"]),
    "a federated intermediate without a name signs an ID of ours": _through([], _OURS),
    "a federated intermediate that poses as ours signs": _through([f"spiffe://{OWN}"], _OURS),
    "a federated intermediate with its own name signs": _through([f"spiffe://{PARTNER}"], _OURS),
    "an intermediate of ours in name signs an ID of theirs": _through([f"spiffe://{OWN}"], _THEIRS),
    "one federated domain signs an ID of another": _leaf_of(OTHER, [_THEIRS]),
    "our own root signs an ID of a federated domain": _leaf_of(OWN, [_THEIRS]),
    "our root stands in the chain of a federated leaf": _beside_ours,
    "a federated workload's certificate signs": _workload_as_ca,
    "a federated workload's certificate is a CA and signs": _signing_workload,
    "a federated intermediate has the name of our root": _same_name,
    "a federated intermediate names both domains": _cross_signed,
    "two IDs in one certificate, theirs first": _leaf_of(PARTNER, [_THEIRS, _OURS]),
    "two IDs in one certificate, ours first": _leaf_of(PARTNER, [_OURS, _THEIRS]),
    "the ID of the trust domain itself": _leaf_of(PARTNER, [f"spiffe://{PARTNER}"]),
    "our domain in capitals": _leaf_of(PARTNER, [f"spiffe://ACME.example/{CLIENT}"]),
    "our domain with a port": _leaf_of(PARTNER, [f"spiffe://{OWN}:443/{CLIENT}"]),
    "our domain as a user of theirs": _leaf_of(PARTNER, [f"spiffe://{OWN}@{PARTNER}/{CLIENT}"]),
    "our domain percent-encoded": _leaf_of(PARTNER, [f"spiffe://acme%2Eexample/{CLIENT}"]),
    "a path that climbs into ours": _leaf_of(PARTNER, [f"{_THEIRS}/../../{OWN}/{CLIENT}"]),
    "a subdomain of ours": _leaf_of(PARTNER, [f"spiffe://a.{OWN}/{CLIENT}"]),
    "no URI, but the DNS name of ours": _leaf_of(PARTNER, [], [f"{CLIENT}.{OWN}"]),
    "a root that nobody trusts signs an ID of ours": _leaf_of(STRANGER, [_OURS]),
    "a root that nobody trusts signs an ID of its own": _leaf_of(
        STRANGER, [f"spiffe://{STRANGER}/{CLIENT}"]
    ),
    "a certificate of ours without its key": _without_key,
    "a certificate of ours that has expired": _expired,
}
"""What is shown to a server of the own domain, by what is tried."""

_NAME = f"{SERVER}.{OWN}"


def _posing_through(uris: Sequence[str]) -> Forge:
    def forge(domains: Domains) -> Shown:
        middle = authority("middle", domains.roots[PARTNER], uris)
        return shown(middle, [f"spiffe://{OWN}/{SERVER}"], middle.certificate, dns=[_NAME])

    return forge


POSES: dict[str, Forge] = {
    "a federated domain poses as our server": _leaf_of(
        PARTNER, [f"spiffe://{OWN}/{SERVER}"], [_NAME]
    ),
    "a federated domain poses by the name alone": _leaf_of(PARTNER, [GUEST], [_NAME]),
    "a federated domain poses by a wildcard": _leaf_of(PARTNER, [GUEST], [f"*.{OWN}"]),
    "a federated intermediate poses as ours": _posing_through([f"spiffe://{OWN}"]),
    "another workload of ours poses as the server": _leaf_of(
        OWN, [f"spiffe://{OWN}/{CLIENT}"], [f"{CLIENT}.{OWN}"]
    ),
    "a root that nobody trusts poses as our server": _leaf_of(
        STRANGER, [f"spiffe://{OWN}/{SERVER}"], [_NAME]
    ),
}
"""What is shown to a client that looks for the server of the own domain."""
