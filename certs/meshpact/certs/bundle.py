"""Trust bundles: the root certificates that vouch for the workloads of one trust domain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from meshpact.certs.errors import BundleError as BundleError
from meshpact.certs.errors import SvidError
from meshpact.certs.pem import read_certificates
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import find_extension, read_extensions


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """The roots of one trust domain (SPIFFE Trust Domain and Bundle, section 4), one at least."""

    trust_domain: TrustDomain
    roots: tuple[x509.Certificate, ...]

    def __post_init__(self) -> None:
        if not self.roots:
            raise BundleError(
                "empty", f"the trust bundle of {self.trust_domain} has no certificate"
            )
        for root in self.roots:
            if not _is_ca(root):
                raise BundleError(
                    "not-a-ca",
                    f"the trust bundle of {self.trust_domain} holds the certificate of "
                    f"{root.subject.rfc4514_string()!r}, which is not a CA: only CA certificates "
                    "belong into a bundle",
                )

    @classmethod
    def from_pem(cls, trust_domain: TrustDomain | str, pem: bytes) -> TrustBundle:
        """The bundle that a PEM file holds. BundleError when it holds none."""
        if isinstance(trust_domain, str):
            trust_domain = TrustDomain(trust_domain)
        try:
            roots = read_certificates(pem)
        except ValueError:
            raise BundleError(
                "pem", f"the trust bundle of {trust_domain} holds no readable PEM certificate"
            ) from None
        return cls(trust_domain, tuple(roots))

    @property
    def pem(self) -> bytes:
        """The roots one after the other in PEM."""
        return b"".join(root.public_bytes(Encoding.PEM) for root in self.roots)

    def __repr__(self) -> str:
        return f"TrustBundle({self.trust_domain}, {len(self.roots)} roots)"


def trust_domain_of(roots_pem: bytes) -> TrustDomain | None:
    """The trust domain that the first root of a PEM file names by a URI SAN, None without one."""
    try:
        first = read_certificates(roots_pem)[0]
        names = find_extension(read_extensions(first), x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier) if names else []
        return SpiffeId.parse(uris[0]).trust_domain if len(uris) == 1 else None
    except ValueError:
        return None


def union_pem(bundles: Iterable[TrustBundle]) -> bytes:
    """All roots of all bundles, for a TLS library that knows no trust domains.

    Whoever uses it must check each chain again by `verify_peer`: in the union one domain's CA can
    vouch for an ID of another domain.
    """
    return b"".join(bundle.pem for bundle in bundles)


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        constraints = find_extension(read_extensions(certificate), x509.BasicConstraints)
    except SvidError:
        return False
    return constraints is not None and constraints.value.ca
