"""X.509-SVIDs: the certificate by which a workload proves its SPIFFE ID, and the rules for it.

https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md, sections 2 to 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshpact.certs.errors import SpiffeError
from meshpact.certs.errors import SvidError as SvidError
from meshpact.certs.pem import read_certificates
from meshpact.certs.spiffe import SpiffeId, dns_name

E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class X509Svid:
    """A workload's certificate chain (leaf first, no root) and its private key in PEM.

    Made only of a leaf and intermediates that keep the rules, SvidError otherwise; that the key
    fits is checked by `from_pem`.
    """

    id: SpiffeId
    chain: tuple[x509.Certificate, ...]
    key_pem: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.chain:
            raise SvidError("pem", "the chain is empty: it begins with the workload's certificate")
        found = check_leaf(self.leaf)
        if found != self.id:
            raise SvidError("spiffe-id", f"the certificate is that of {found}, not of {self.id}")
        for each in self.chain[1:]:
            check_signer(each)

    @classmethod
    def from_pem(cls, chain_pem: bytes, key_pem: bytes) -> X509Svid:
        """The SVID of a chain and its key. SvidError when a rule is broken or they do not match."""
        try:
            chain = tuple(read_certificates(chain_pem))
        except ValueError:
            raise SvidError("pem", "there is no readable PEM certificate in it") from None
        try:
            key = load_pem_private_key(key_pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):  # its text may quote the file
            raise SvidError(
                "key", "the private key is not readable as PEM without password"
            ) from None
        leaf = chain[0]
        try:
            matches = _public_der(key.public_key()) == _public_der(leaf.public_key())
        except (ValueError, UnsupportedAlgorithm):
            raise SvidError("key", "the certificate's public key is of an unknown kind") from None
        if not matches:
            raise SvidError(
                "key-mismatch", "the private key belongs to another certificate than the one given"
            )
        return cls(check_leaf(leaf), chain, key_pem)

    @property
    def leaf(self) -> x509.Certificate:
        """The workload's own certificate."""
        return self.chain[0]

    @property
    def not_before(self) -> float:
        """Start of the leaf's validity in seconds since the epoch."""
        return self.leaf.not_valid_before_utc.timestamp()

    @property
    def not_after(self) -> float:
        """End of the leaf's validity in seconds since the epoch."""
        return self.leaf.not_valid_after_utc.timestamp()

    @property
    def serial(self) -> int:
        """The leaf's serial number."""
        return self.leaf.serial_number

    @property
    def leaf_pem(self) -> bytes:
        """The leaf alone in PEM."""
        return self.leaf.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """Leaf and intermediates in PEM, leaf first."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.chain)


def check_leaf(certificate: x509.Certificate) -> SpiffeId:
    """The SPIFFE ID of a certificate that keeps all rules for leaves.

    SvidError names the broken rule: `encoding`, `uri-san` (X509-SVID 2), `spiffe-id`, `path` (3.1),
    `basic-constraints` (4.1), `key-usage` (4.3), `extended-key-usage` (4.4). The chain and the time
    are not looked at.
    """
    extensions = read_extensions(certificate)
    spiffe_id = _spiffe_id(extensions)
    _check_basic_constraints(extensions)
    _check_key_usage(extensions)
    _check_extended_key_usage(extensions)
    return spiffe_id


def check_signer(certificate: x509.Certificate) -> None:
    """Passes a certificate that may stand between a leaf and its root (X509-SVID 4.1, 4.3).

    SvidError `intermediate` when it is no CA, or its key usage lacks keyCertSign.
    """
    extensions = read_extensions(certificate)
    constraints = find_extension(extensions, x509.BasicConstraints)
    usage = find_extension(extensions, x509.KeyUsage)
    if constraints is None or not constraints.value.ca:
        fault = "is not a CA"
    elif usage is None or not usage.value.key_cert_sign:
        fault = "has no key usage keyCertSign"
    else:
        return
    raise SvidError(
        "intermediate",
        f"the certificate of {certificate.subject.rfc4514_string()!a} that follows the leaf "
        f"{fault}: only intermediates may follow",
    )


def check_dns_name(certificate: x509.Certificate, spiffe_id: SpiffeId) -> None:
    """Passes when a leaf has exactly one DNS SAN and it is its ID's; SvidError `dns-san` otherwise.

    Clients find a server by this name, so a wrong one would let a workload pose as another.
    """
    expected = dns_name(spiffe_id)
    names = find_extension(read_extensions(certificate), x509.SubjectAlternativeName)
    found = names.value.get_values_for_type(x509.DNSName) if names else []
    if found != [expected]:
        raise SvidError(
            "dns-san",
            f"the certificate has {_listed(found, 'DNS SAN')}: it needs exactly one, {expected}",
        )


def read_extensions(certificate: x509.Certificate) -> x509.Extensions:
    """The extensions of a certificate; SvidError `encoding` when they cannot be read."""
    try:
        return certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise SvidError(
            "encoding", f"the certificate's extensions are not readable: {error}"
        ) from None


def find_extension(extensions: x509.Extensions, kind: type[E]) -> x509.Extension[E] | None:
    """The extension of a kind, None when there is none."""
    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _spiffe_id(extensions: x509.Extensions) -> SpiffeId:
    names = find_extension(extensions, x509.SubjectAlternativeName)
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    if len(uris) != 1:
        raise SvidError(
            "uri-san",
            f"the certificate has {_listed(uris, 'URI SAN')}: it needs exactly one, a SPIFFE ID",
        )
    try:
        spiffe_id = SpiffeId.parse(uris[0])
    except SpiffeError as error:
        raise SvidError("spiffe-id", f"the certificate's URI SAN: {error}") from None
    if not spiffe_id.path:
        raise SvidError(
            "path", f"the certificate's ID {spiffe_id} has no path: a workload's ID has one"
        )
    return spiffe_id


def _check_basic_constraints(extensions: x509.Extensions) -> None:
    constraints = find_extension(extensions, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise SvidError(
            "basic-constraints", "the certificate is a CA: a workload's certificate must not be"
        )


def _check_key_usage(extensions: x509.Extensions) -> None:
    extension = find_extension(extensions, x509.KeyUsage)
    if extension is None:
        raise SvidError(
            "key-usage", "the certificate states no key usage: it needs digitalSignature, critical"
        )
    usage = extension.value
    if not extension.critical:
        raise SvidError("key-usage", "the certificate's key usage is not critical: it must be")
    if not usage.digital_signature:
        raise SvidError("key-usage", "the certificate's key usage lacks digitalSignature")
    for forbidden, name in ((usage.key_cert_sign, "keyCertSign"), (usage.crl_sign, "cRLSign")):
        if forbidden:
            raise SvidError(
                "key-usage",
                f"the certificate's key usage has {name}: only a CA's certificate may have it",
            )


def _check_extended_key_usage(extensions: x509.Extensions) -> None:
    extension = find_extension(extensions, x509.ExtendedKeyUsage)
    if extension is None:
        return
    usages = set(extension.value)
    for needed, name in (
        (ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"),
        (ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"),
    ):
        if needed not in usages:
            raise SvidError(
                "extended-key-usage",
                f"the certificate's extended key usage lacks {name}: it needs serverAuth and "
                "clientAuth, or no extended key usage at all",
            )


def _public_der(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _listed(values: list[str], noun: str) -> str:
    if not values:
        return f"no {noun}"
    return f"{len(values)} {noun}s ({', '.join(ascii(value[:100]) for value in values[:5])})"
