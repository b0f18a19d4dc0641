"""A certificate authority in a directory, for one mesh on one machine: a root and an intermediate.

Meant for development and tests: its keys lie unencrypted in files that only their owner can read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from meshpact.certs import profile
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.errors import CaError as CaError
from meshpact.certs.errors import SpiffeError
from meshpact.certs.files import PUBLIC_FILE, private_directory, write_whole
from meshpact.certs.pem import read_certificates
from meshpact.certs.profile import Signer, Validity
from meshpact.certs.source import CERTIFICATE_FILE, KEY_FILE
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import X509Svid
from meshpact.certs.wholedir import BrokenDirectory, exists, make_whole, read_file

ROOT_LIFETIME: Final = timedelta(days=3650)
INTERMEDIATE_LIFETIME: Final = timedelta(days=365)
INTERMEDIATE_RENEWAL: Final = timedelta(days=30)
"""An intermediate with less time left is replaced when the CA is loaded."""

DEFAULT_LIFETIME: Final = timedelta(hours=1)
MAX_LIFETIME: Final = timedelta(hours=24)
BACKDATE: Final = timedelta(minutes=5)
"""How long before its issue a certificate is valid, for machines whose clocks are behind."""

_ROOT: Final = ("root.pem", "root.key.pem")
_INTERMEDIATE: Final = ("intermediate.pem", "intermediate.key.pem")


class LocalCA:
    """A CA that issues SVIDs of one trust domain. Made by `init` or `load`."""

    def __init__(self, root: x509.Certificate, intermediate: Signer) -> None:
        self._root = root
        self._intermediate = intermediate
        self.trust_domain = _trust_domain(root)

    @classmethod
    def init(cls, directory: Path, trust_domain: TrustDomain | str) -> LocalCA:
        """Makes a CA in `directory`, or loads the one that is there.

        CaError when the one there is broken (`state`) or of another domain (`trust-domain`).
        """
        if isinstance(trust_domain, str):
            trust_domain = TrustDomain(trust_domain)
        if not exists(directory):
            make_whole(directory, lambda aside: _fill(aside, trust_domain))
        ca = cls.load(directory)
        if ca.trust_domain != trust_domain:
            raise CaError(
                "trust-domain",
                f"{directory} holds the CA of {ca.trust_domain}, not of {trust_domain}: choose "
                "another state directory, or remove this one to start anew",
            )
        return ca

    @classmethod
    def load(cls, directory: Path) -> LocalCA:
        """The CA in `directory`. CaError `state` names the file that is amiss and what to do."""
        if not exists(directory):
            raise CaError(
                "state",
                f"there is no CA in {directory}: make one by meshpact certs init --trust-domain "
                "acme.example",
            )
        try:
            return cls(*_load(directory))
        except BrokenDirectory as broken:
            raise CaError(
                "state",
                f"{broken}: put the right file back, or remove {directory} and run meshpact certs "
                "init to start with a new CA (all identities are issued anew then)",
            ) from None

    @property
    def bundle(self) -> TrustBundle:
        """What others need to trust this CA: its root."""
        return TrustBundle(self.trust_domain, (self._root,))

    def issue(
        self,
        spiffe_id: SpiffeId,
        *,
        lifetime: timedelta = DEFAULT_LIFETIME,
        now: datetime | None = None,
    ) -> X509Svid:
        """A new SVID with a new P-256 key, valid from 5 minutes ago for `lifetime` (at most 24 h).

        CaError `trust-domain` for another domain's ID, `lifetime` for one out of bounds;
        SpiffeError `dns-name` for an ID without a DNS name.
        """
        if spiffe_id.trust_domain != self.trust_domain:
            raise CaError(
                "trust-domain",
                f"{spiffe_id} is not of {self.trust_domain}, the trust domain of this CA",
            )
        if not timedelta(0) < lifetime <= MAX_LIFETIME:
            raise CaError(
                "lifetime",
                f"a lifetime of {lifetime.total_seconds():g} s was asked for: more than 0 and at "
                f"most {MAX_LIFETIME.total_seconds():g} s (24 h) are allowed",
            )
        moment = now or datetime.now(UTC)
        end = min(moment + lifetime, self._intermediate.certificate.not_valid_after_utc)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = profile.leaf(
            spiffe_id, key.public_key(), self._intermediate, Validity(moment - BACKDATE, end)
        )
        return X509Svid(spiffe_id, (leaf, self._intermediate.certificate), _key_pem(key))

    def __repr__(self) -> str:
        return f"LocalCA({self.trust_domain})"


def write_svid(directory: Path, svid: X509Svid) -> None:
    """Writes `key.pem` (0600) and `cert.pem`, each whole, as `FileSource` reads them."""
    private_directory(directory)
    write_whole(directory / KEY_FILE, svid.key_pem)
    write_whole(directory / CERTIFICATE_FILE, svid.chain_pem, PUBLIC_FILE)


def write_bundle(directory: Path, bundle: TrustBundle) -> Path:
    """Writes `<trust-domain>.pem` whole, as `FileSource` reads it; the path written."""
    private_directory(directory)
    path = directory / f"{bundle.trust_domain}.pem"
    write_whole(path, bundle.pem, PUBLIC_FILE)
    return path


def _fill(directory: Path, trust_domain: TrustDomain) -> None:
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = profile.root(trust_domain, key, Validity(now - BACKDATE, now + ROOT_LIFETIME))
    root = Signer(certificate, key)
    _write_pair(directory, _ROOT, root)
    _new_intermediate(directory, root, now)


def _load(directory: Path) -> tuple[x509.Certificate, Signer]:
    """The root's certificate and the intermediate, which is replaced when it runs out."""
    root = _load_pair(directory, *_ROOT)
    now = datetime.now(UTC)
    if root.certificate.not_valid_after_utc <= now:
        raise BrokenDirectory(directory / _ROOT[0], "has expired")
    intermediate = _load_pair(directory, *_INTERMEDIATE)
    try:
        intermediate.certificate.verify_directly_issued_by(root.certificate)
    except (InvalidSignature, ValueError, TypeError):
        raise BrokenDirectory(
            directory / _INTERMEDIATE[0], "was not issued by the root beside it"
        ) from None
    if intermediate.certificate.not_valid_after_utc <= now + INTERMEDIATE_RENEWAL:
        intermediate = _new_intermediate(directory, root, now)
    return root.certificate, intermediate


def _new_intermediate(directory: Path, root: Signer, now: datetime) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    end = min(now + INTERMEDIATE_LIFETIME, root.certificate.not_valid_after_utc)
    certificate = profile.intermediate(
        _trust_domain(root.certificate), key.public_key(), root, Validity(now - BACKDATE, end)
    )
    signer = Signer(certificate, key)
    _write_pair(directory, _INTERMEDIATE, signer)
    return signer


def _write_pair(directory: Path, names: tuple[str, str], signer: Signer) -> None:
    certificate, key = names
    write_whole(directory / key, _key_pem(signer.key))
    write_whole(directory / certificate, signer.certificate.public_bytes(Encoding.PEM), PUBLIC_FILE)


def _load_pair(directory: Path, certificate_name: str, key_name: str) -> Signer:
    path, key_path = directory / certificate_name, directory / key_name
    certificate_pem, key_pem = read_file(path), read_file(key_path)
    try:
        certificate = read_certificates(certificate_pem)[0]
    except ValueError:
        raise BrokenDirectory(path, "is not a readable PEM certificate") from None
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError):
        raise BrokenDirectory(key_path, "is not a readable PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BrokenDirectory(key_path, "is not a key on an elliptic curve")
    if certificate.public_key() != key.public_key():
        raise BrokenDirectory(key_path, f"is not the key of {certificate_name}")
    return Signer(certificate, key)


def _trust_domain(root: x509.Certificate) -> TrustDomain:
    try:
        names = root.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        return SpiffeId.parse(uri).trust_domain
    except (x509.ExtensionNotFound, SpiffeError, ValueError):
        raise CaError(
            "trust-domain",
            "the root certificate names no trust domain: it needs one URI SAN, "
            "spiffe://TRUST-DOMAIN",
        ) from None


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
