"""Certificate authorities in memory, for tests: also for certificates that no honest CA issues.

Each has a root and an issuing intermediate (ECDSA P-256), as `meshpact.certs.ca` makes them. A
leaf follows the SPIFFE X.509-SVID rules unless the test asks for something else.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshpact.testing.rawwire import ClientIdentity

_HOUR = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Leaf:
    """A certificate with its intermediates (leaf first) and key, as PEM."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)


class Authority:
    """One trust domain's root and intermediate."""

    def __init__(self, trust_domain: str) -> None:
        self.trust_domain = trust_domain
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.root = _ca(f"{trust_domain} root", trust_domain, self._root_key, None, 1)
        self.intermediate = _ca(
            f"{trust_domain} issuing", trust_domain, self._key, (self.root, self._root_key), 0
        )

    @property
    def roots_pem(self) -> bytes:
        """The trust bundle: the root alone."""
        return self.root.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        service: str = "",
        *,
        uris: Sequence[str] | None = None,
        dns: Sequence[str] | None = None,
        lifetime: float = 3600.0,
        age: float = 60.0,
        is_ca: bool = False,
    ) -> Leaf:
        """A leaf for a service of the trust domain; `uris` and `dns` replace its names.

        Valid from `age` seconds ago to `lifetime` seconds from now; both may be negative.
        """
        now = datetime.datetime.now(datetime.UTC)
        names: list[x509.GeneralName] = []
        for uri in [f"spiffe://{self.trust_domain}/{service}"] if uris is None else uris:
            names.append(x509.UniformResourceIdentifier(uri))
        for name in [f"{service}.{self.trust_domain}"] if dns is None else dns:
            names.append(x509.DNSName(name))
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, service or "leaf")]))
            .issuer_name(self.intermediate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(seconds=age))
            .not_valid_after(now + datetime.timedelta(seconds=lifetime))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
            .add_extension(_usage(sign_certificates=is_ca), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        leaf = builder.sign(self._key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        return Leaf(
            leaf.public_bytes(pem) + self.intermediate.public_bytes(pem),
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        )

    def client(self, service: str, *, roots_pem: bytes = b"") -> ClientIdentity:
        """A raw client with a leaf of the service, trusting this authority or `roots_pem`."""
        leaf = self.issue(service)
        return ClientIdentity(leaf.chain_pem, leaf.key_pem, roots_pem or self.roots_pem)


def _ca(
    name: str,
    trust_domain: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    path_length: int,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer[1] if issuer is not None else key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 48 * _HOUR)
        .not_valid_after(now + 48 * _HOUR)
        .add_extension(x509.BasicConstraints(True, path_length), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(f"spiffe://{trust_domain}")]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
