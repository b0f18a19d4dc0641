"""What the local CA writes into its certificates: roots, intermediates and workloads' leaves.

RFC 5280, section 4.2, and the X509-SVID standard, section 4.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshpact.certs.keys import PrivateKey, PublicKey, digest
from meshpact.certs.spiffe import SpiffeId, TrustDomain, dns_name


class Signer(NamedTuple):
    """A CA certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey


class Validity(NamedTuple):
    """From when to when a certificate is valid, both with a time zone."""

    start: datetime
    end: datetime


def root(trust_domain: TrustDomain, key: PrivateKey, validity: Validity) -> x509.Certificate:
    """A self-signed root that may have one intermediate below it.

    Its name holds the beginning of its key's hash: TLS libraries look for issuers by name, and two
    roots of one domain lie in the same bundle during a rotation.
    """
    name = _name(f"Meshpact local root {_short(key.public_key())}")
    builder = _authority(trust_domain, key.public_key(), validity, path_length=1)
    return builder.subject_name(name).issuer_name(name).sign(key, digest(key))


def intermediate(
    trust_domain: TrustDomain, key: PublicKey, issuer: Signer, validity: Validity
) -> x509.Certificate:
    """An intermediate that signs leaves only."""
    return (
        _authority(trust_domain, key, validity, path_length=0)
        .subject_name(_name(f"Meshpact local intermediate {_short(key)}"))
        .issuer_name(issuer.certificate.subject)
        .add_extension(_authority_key(issuer), critical=False)
        .sign(issuer.key, digest(issuer.key))
    )


def leaf(
    spiffe_id: SpiffeId, key: PublicKey, issuer: Signer, validity: Validity
) -> x509.Certificate:
    """A workload's certificate: one URI SAN, its ID, and one DNS SAN, its `dns_name`."""
    names = [
        x509.UniformResourceIdentifier(str(spiffe_id)),
        x509.DNSName(dns_name(spiffe_id)),
    ]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        _builder(key, validity)
        .subject_name(_name(None))
        .issuer_name(issuer.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_key(issuer), critical=False)
        .sign(issuer.key, digest(issuer.key))
    )


def _authority(
    trust_domain: TrustDomain,
    key: PublicKey,
    validity: Validity,
    *,
    path_length: int,
) -> x509.CertificateBuilder:
    names = [x509.UniformResourceIdentifier(str(trust_domain.id))]
    return (
        _builder(key, validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _builder(key: PublicKey, validity: Validity) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.start)
        .not_valid_after(validity.end)
    )


def _name(common_name: str | None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Meshpact")]
    if common_name is not None:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key(issuer: Signer) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())


def _short(key: PublicKey) -> str:
    return x509.SubjectKeyIdentifier.from_public_key(key).digest[:4].hex()
