"""What a certificate file says, as facts for people and for programs (`meshpact certs show`)."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from meshpact.certs.errors import CertsError, SvidError
from meshpact.certs.pem import read_certificates
from meshpact.certs.svid import check_dns_name, check_leaf, find_extension, read_extensions

_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One certificate. Times are RFC 3339 in UTC; `rule` is the broken rule of a leaf, or empty."""

    kind: str
    """`workload`, `root` or `intermediate`."""
    spiffe_ids: list[str]
    dns_names: list[str]
    subject: str
    issuer: str
    serial: str
    key: str
    not_before: str
    not_after: str
    expired: bool
    sha256: str
    rule: str
    fault: str

    def as_dict(self) -> dict[str, object]:
        """The facts for JSON."""
        return asdict(self)


def describe(pem: bytes, now: float | None = None) -> list[CertificateFacts]:
    """The facts of each certificate in a PEM file, in its order. SvidError `pem` without any."""
    try:
        certificates = read_certificates(pem)
    except ValueError:
        raise SvidError("pem", "there is no readable PEM certificate in it") from None
    moment = time.time() if now is None else now
    return [_facts(certificate, moment) for certificate in certificates]


def in_words(facts: CertificateFacts, now: float | None = None) -> str:
    """A few lines for people."""
    moment = time.time() if now is None else now
    left = datetime.fromisoformat(facts.not_after).timestamp() - moment
    when = f"for {_span(left)} more" if left >= 0 else f"expired {_span(-left)} ago"
    lines = [
        f"{facts.kind}: {', '.join(facts.spiffe_ids) or 'no SPIFFE ID'}",
        f"  TLS name   {', '.join(facts.dns_names) or 'none'}",
        f"  valid      {facts.not_before} to {facts.not_after} ({when})",
        f"  issued by  {facts.issuer}",
        f"  serial     {facts.serial}",
        f"  key        {facts.key}",
        f"  SHA-256    {facts.sha256}",
    ]
    if facts.rule:
        lines.append(f"  BROKEN     {facts.rule}: {facts.fault}")
    return "\n".join(lines)


def _facts(certificate: x509.Certificate, now: float) -> CertificateFacts:
    rule = fault = ""
    names: x509.SubjectAlternativeName | None = None
    is_ca = False
    try:
        extensions = read_extensions(certificate)
        found = find_extension(extensions, x509.SubjectAlternativeName)
        names = found.value if found else None
        constraints = find_extension(extensions, x509.BasicConstraints)
        is_ca = constraints is not None and constraints.value.ca
        if not is_ca:
            check_dns_name(certificate, check_leaf(certificate))
    except CertsError as error:
        rule, fault = error.rule, str(error)
    return CertificateFacts(
        kind=_kind(certificate) if is_ca else "workload",
        spiffe_ids=names.get_values_for_type(x509.UniformResourceIdentifier) if names else [],
        dns_names=names.get_values_for_type(x509.DNSName) if names else [],
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        key=_key(certificate),
        not_before=_moment(certificate.not_valid_before_utc),
        not_after=_moment(certificate.not_valid_after_utc),
        expired=certificate.not_valid_after_utc.timestamp() < now,
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        rule=rule,
        fault=fault,
    )


def _kind(certificate: x509.Certificate) -> str:
    return "root" if certificate.subject == certificate.issuer else "intermediate"


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey")


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _span(seconds: float) -> str:
    for length, unit in _UNITS:
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"
