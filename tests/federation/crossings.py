"""Further forgeries: CAs that signed each other, bound names, wrong times, and crowded chains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

import forgedcerts as forged
from federation.forgeries import (
    CLIENT,
    FORGERIES,
    OWN,
    PARTNER,
    STRANGER,
    Domains,
    Forge,
    Shown,
    authority,
    honest,
    shown,
)
from meshpact.certs.keys import PublicKey
from meshpact.certs.profile import Signer, Validity

_OURS = f"spiffe://{OWN}/{CLIENT}"


def crossed(
    subject: x509.Name,
    key: PublicKey,
    issuer: Signer,
    *,
    uris: Sequence[str] = (),
    permitted: Sequence[x509.GeneralName] = (),
    excluded: Sequence[x509.GeneralName] = (),
    validity: Validity | None = None,
    serial: int = 0,
) -> x509.Certificate:
    """A CA certificate for a name and key that may be another CA's."""
    valid = validity or forged.around_now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(valid.start)
        .not_valid_after(valid.end)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(forged.key_usage(frozenset({"key_cert_sign", "crl_sign"})), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            critical=False,
        )
    )
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if permitted or excluded:
        constraints = x509.NameConstraints(list(permitted) or None, list(excluded) or None)
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(issuer.key, hashes.SHA256())


def _cross(
    *,
    uris: Sequence[str] = (),
    permitted: Sequence[x509.GeneralName] = (),
    excluded: Sequence[x509.GeneralName] = (),
) -> Forge:
    """Our root signed the partner's CA, which then signs an ID of ours."""

    def forge(domains: Domains) -> Shown:
        partner = domains.roots[PARTNER]
        bridge = crossed(
            partner.certificate.subject,
            partner.key.public_key(),
            domains.roots[OWN],
            uris=uris,
            permitted=permitted,
            excluded=excluded,
        )
        return shown(partner, [_OURS], bridge)

    return forge


def _partner_signs_our_root(domains: Domains) -> Shown:
    """The partner's signature under our root's name and key, beside a leaf of the partner's."""
    ours, partner = domains.roots[OWN], domains.roots[PARTNER]
    bridge = crossed(ours.certificate.subject, ours.key.public_key(), partner)
    return shown(partner, [_OURS], bridge, ours.certificate)


def _under(constraint: x509.NameConstraints | None) -> Forge:
    """An intermediate of the partner's, constrained as it likes, signs an ID of ours."""

    def forge(domains: Domains) -> Shown:
        key = forged.new_key()
        permitted = constraint.permitted_subtrees if constraint else ()
        middle = crossed(
            authority("name").certificate.subject,
            key.public_key(),
            domains.roots[PARTNER],
            permitted=permitted or (),
        )
        return shown(Signer(middle, key), [_OURS], middle)

    return forge


def _our_intermediates_name(*, both: bool) -> Forge:
    """The partner's intermediate has name and serial number of ours, which may stand beside it."""

    def forge(domains: Domains) -> Shown:
        ours = forged.intermediate(domains.roots[OWN], OWN.name)
        key = forged.new_key()
        theirs = crossed(
            ours.certificate.subject,
            key.public_key(),
            domains.roots[PARTNER],
            uris=[f"spiffe://{OWN}"],
            serial=ours.certificate.serial_number,
        )
        beside = [ours.certificate, domains.roots[OWN].certificate] if both else []
        return shown(Signer(theirs, key), [_OURS], theirs, *beside)

    return forge


def _crowded(domains: Domains) -> Shown:
    """A leaf of the partner's, and everything that is true of ours after it."""
    genuine = honest(domains, OWN, CLIENT)
    ours = x509.load_pem_x509_certificates(genuine.chain)
    many = [authority(f"filler {number}").certificate for number in range(8)]
    return shown(
        domains.roots[PARTNER],
        [_OURS],
        *ours,
        domains.roots[OWN].certificate,
        *many,
        domains.roots[PARTNER].certificate,
    )


def _our_intermediate(validity: Validity) -> Forge:
    """A leaf of ours that is valid, below an intermediate of ours that is not."""

    def forge(domains: Domains) -> Shown:
        key = forged.new_key()
        middle = crossed(
            authority("ours").certificate.subject,
            key.public_key(),
            domains.roots[OWN],
            uris=[f"spiffe://{OWN}"],
            validity=validity,
        )
        return shown(Signer(middle, key), [_OURS], middle)

    return forge


def _workload_of_ours_signs(domains: Domains) -> Shown:
    key = forged.new_key()
    leaf = forged.leaf(domains.roots[OWN], uris=[f"spiffe://{OWN}/shipping"], key=key)
    return shown(Signer(leaf, key), [_OURS], leaf)


def _wrong_bundle(domains: Domains) -> Shown:
    """An ID of a domain that nobody trusts, by the root of one that is trusted."""
    return shown(domains.roots[PARTNER], [f"spiffe://{STRANGER}/{CLIENT}"])


_URI = x509.UniformResourceIdentifier

CROSSINGS: dict[str, Forge] = {
    "our root signed a federated CA under its own ID": _cross(uris=[f"spiffe://{PARTNER}"]),
    "and for names of theirs alone": _cross(permitted=[_URI(PARTNER.name)]),
    "and for names below theirs alone": _cross(permitted=[_URI(f".{PARTNER}")]),
    "and for all names but ours": _cross(excluded=[_URI(OWN.name)]),
    "a federated root signed our root": _partner_signs_our_root,
    "a federated intermediate that may sign their names only": _under(
        x509.NameConstraints([_URI(PARTNER.name)], None)
    ),
    "a federated intermediate that says it may sign ours": _under(
        x509.NameConstraints([_URI(OWN.name)], None)
    ),
    "a federated intermediate has the name of our intermediate": _our_intermediates_name(
        both=False
    ),
    "and ours stands beside it": _our_intermediates_name(both=True),
    "a crowd of true certificates of ours follows a false one": _crowded,
    "our intermediate has expired": _our_intermediate(
        forged.around_now(timedelta(hours=2), timedelta(minutes=-1))
    ),
    "our intermediate is not valid yet": _our_intermediate(
        forged.around_now(timedelta(days=-1), timedelta(days=2))
    ),
    "a workload of ours signs for another": _workload_of_ours_signs,
    "an ID of a domain without a bundle": _wrong_bundle,
}
ALL_FORGERIES: dict[str, Forge] = FORGERIES | CROSSINGS
"""Everything that is shown to a server of the own domain."""
