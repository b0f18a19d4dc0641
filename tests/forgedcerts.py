"""Certificates with chosen faults, for the tests of what must be refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshpact.certs import profile
from meshpact.certs.keys import PrivateKey
from meshpact.certs.profile import Signer, Validity
from meshpact.certs.spiffe import TrustDomain

BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
HOUR = timedelta(hours=1)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """The key as the CA writes it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(*certificates: x509.Certificate) -> bytes:
    """Certificates one after the other in PEM."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def around_now(before: timedelta = HOUR, after: timedelta = HOUR) -> Validity:
    """A validity that holds now."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Validity(now - before, now + after)


def root(domain: str = "acme.example", validity: Validity | None = None) -> Signer:
    """A sound root."""
    key = new_key()
    return Signer(profile.root(TrustDomain(domain), key, validity or around_now()), key)


def intermediate(issuer: Signer, domain: str = "acme.example") -> Signer:
    """A sound intermediate, whose ID may be of a foreign domain."""
    key = new_key()
    certificate = profile.intermediate(TrustDomain(domain), key.public_key(), issuer, around_now())
    return Signer(certificate, key)


def leaf(
    issuer: Signer,
    *,
    uris: Sequence[str] = ("spiffe://acme.example/inventory",),
    dns: Sequence[str] = ("inventory.acme.example",),
    ca: bool | None = False,
    usages: frozenset[str] | None = frozenset({"digital_signature"}),
    usage_critical: bool = True,
    extended: Sequence[x509.ObjectIdentifier] | None = BOTH,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    validity: Validity | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> x509.Certificate:
    """A leaf that is sound where nothing else is asked for; None leaves an extension out."""
    key = key or new_key()
    valid = validity or around_now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test")]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid.start)
        .not_valid_after(valid.end)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            critical=False,
        )
    )
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    names += [x509.DNSName(name) for name in dns]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if usages is not None:
        builder = builder.add_extension(key_usage(usages), critical=usage_critical)
    if extended is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer.key, hashes.SHA256())


def key_usage(usages: frozenset[str]) -> x509.KeyUsage:
    """A key usage by the names that cryptography gives its parts."""
    return x509.KeyUsage(
        digital_signature="digital_signature" in usages,
        content_commitment=False,
        key_encipherment="key_encipherment" in usages,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign="key_cert_sign" in usages,
        crl_sign="crl_sign" in usages,
        encipher_only=False,
        decipher_only=False,
    )


def public_key(private_pem: bytes) -> object:
    """The public half of a key, to compare."""
    return load_pem_private_key(private_pem, password=None).public_key()
