"""What is wrong with workloads' certificates, keys and trust bundles on disk, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from meshpact.certs import keys
from meshpact.certs.bundle import TrustBundle, trust_domain_of
from meshpact.certs.cadoctor import ca_faults
from meshpact.certs.castate import STATE_FILE
from meshpact.certs.dialling import why_not_dialled
from meshpact.certs.errors import BundleError, CertsError, PeerError, SvidError
from meshpact.certs.fault import Fault, directory_faults, key_faults
from meshpact.certs.pem import read_certificates
from meshpact.certs.spiffe import TrustDomain
from meshpact.certs.svid import (
    X509Svid,
    check_dns_name,
    check_leaf,
    find_extension,
    read_extensions,
)
from meshpact.certs.verify import verify_peer

PAIRS: Final = (("cert.pem", "key.pem"), ("tls.crt", "tls.key"))
"""Names of certificate and key in a workload's directory: ours, and csi-driver-spiffe's."""
BUNDLE_FILE: Final = "ca.crt"

SOON: Final = 1 / 3
"""The part of a leaf's lifetime that should never be reached: sources renew at half of it."""
ROOT_SOON: Final = timedelta(days=30)
"""Of a root with a long life; SPIRE's live for a day, and there a third of it counts."""

Bundles = Mapping[str, TrustBundle]


def examine_state(
    root: Path,
    ca: Path,
    trust: Path,
    identities: Path,
    *,
    passphrase: bytes | None = None,
    now: datetime | None = None,
) -> list[Fault]:
    """The faults of a whole state directory: its CA, trust bundles, workloads and other keys."""
    moment = now or datetime.now(UTC)
    found = list(_open_to_others(root, ca, identities))
    found += ca_faults(ca, trust, moment, passphrase)
    for path in sorted(trust.glob("*.pem")):
        found += _bundle(path, path.stem, moment)
    bundles = read_bundles(trust)
    for directory in sorted(each for each in identities.glob("*") if each.is_dir()):
        found += examine_identity(directory, bundles, moment)
    return found


def examine_files(
    paths: Sequence[Path],
    bundles: Bundles,
    *,
    passphrase: bytes | None = None,
    now: datetime | None = None,
) -> list[Fault]:
    """The faults of workloads' and CAs' directories, certificates, keys and bundles.

    `bundles` verify what has none beside it.
    """
    moment = now or datetime.now(UTC)
    found: list[Fault] = []
    for path in paths:
        if (path / STATE_FILE).exists():
            found += ca_faults(path, path.parent / "trust", moment, passphrase)
        elif path.is_dir():
            found += examine_identity(path, bundles, moment)
        else:
            found += _file(path, bundles, moment)
    return found


def examine_identity(directory: Path, bundles: Bundles, now: datetime) -> list[Fault]:
    """The faults of a workload's directory in one of the two layouts."""
    found: list[Fault] = []
    for certificate, key in PAIRS:
        if not ((directory / certificate).exists() or (directory / key).exists()):
            continue
        if (certificate, key) == PAIRS[0]:
            found += directory_faults(directory)
        own = directory / BUNDLE_FILE
        if own.exists():
            found += _bundle(own, "", now)
            bundles = {**bundles, **_own_bundle(own, directory / certificate)}
        found += _svid(directory / certificate, directory / key, bundles, now)
        return found
    names = " or ".join(f"{certificate} and {key}" for certificate, key in PAIRS)
    return [
        Fault(
            "missing",
            str(directory),
            f"there is no identity in it: {names}",
            f"meshpact certs issue {directory.name}, or name the right directory; a whole state "
            "directory is named by --state",
        )
    ]


def read_bundles(trust: Path) -> dict[str, TrustBundle]:
    """The bundles of a directory that can be read, by the name of the trust domain."""
    found: dict[str, TrustBundle] = {}
    for path in sorted(trust.glob("*.pem")):
        try:
            found[path.stem] = TrustBundle.from_pem(path.stem, path.read_bytes())
        except (OSError, CertsError):
            continue
    return found


def _open_to_others(root: Path, ca: Path, identities: Path) -> Iterator[Fault]:
    """What of a state directory others can enter or read; CA and identities look at themselves."""
    yield from directory_faults(root)
    for path in sorted(root.glob("[!.]*")):
        if path.is_dir() and path != ca:
            yield from directory_faults(path)
    for path in sorted(root.glob("**/*key*")):
        if path.is_file() and ca not in path.parents and identities not in path.parents:
            yield from key_faults(path)


def _file(path: Path, bundles: Bundles, now: datetime) -> list[Fault]:
    try:
        pem = path.read_bytes()
    except OSError as error:
        return [_unreadable(path, error)]
    if b"PRIVATE KEY" in pem and b"BEGIN CERTIFICATE" not in pem:
        return [*key_faults(path, mounted=path.name == PAIRS[1][1]), *_key(path, pem)]
    try:
        first = read_certificates(pem)[0]
    except ValueError:
        return [
            Fault(
                "pem",
                str(path),
                "there is no readable PEM certificate in it; allowed: a workload's certificate, a "
                "key, a trust bundle, a workload's directory",
                "write it anew, or name the right file",
            )
        ]
    if _is_ca(first):
        return list(_bundle(path, "", now))
    return list(_svid(path, None, bundles, now))


def _svid(certificate: Path, key: Path | None, bundles: Bundles, now: datetime) -> Iterator[Fault]:
    remedy = _anew(certificate)
    where = str(certificate)
    try:
        pem = certificate.read_bytes()
        key_pem = key.read_bytes() if key else b""
    except OSError as error:
        yield _unreadable(Path(str(error.filename or certificate)), error)
        return
    if key:
        yield from key_faults(key, mounted=key.name == PAIRS[1][1])
    try:
        leaf = read_certificates(pem)[0]
    except ValueError:
        yield Fault("pem", where, "there is no readable PEM certificate in it", remedy)
        return
    yield from _time(leaf, where, remedy, now)
    try:
        svid = X509Svid.from_pem(pem, key_pem) if key else X509Svid(check_leaf(leaf), (leaf,), b"")
    except SvidError as error:
        if key and error.rule == "key":
            yield from _key(key, key_pem)
        else:
            yield Fault(error.rule, where, str(error), remedy)
        return
    yield from _chain(svid, pem, where, remedy, bundles, now)
    yield from _name(svid, where, remedy)


def _time(leaf: x509.Certificate, where: str, remedy: str, now: datetime) -> Iterator[Fault]:
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now > end:
        yield Fault("expired", where, f"it expired at {end:%Y-%m-%d %H:%M:%S} UTC", remedy)
    elif now < start:
        yield Fault(
            "not-yet-valid",
            where,
            f"it is valid from {start:%Y-%m-%d %H:%M:%S} UTC on",
            "set the clocks of this machine and of its issuer right",
        )
    elif end - now < (end - start) * SOON:
        yield Fault(
            "expires-soon",
            where,
            f"it expires at {end:%Y-%m-%d %H:%M:%S} UTC: whoever renews it should have done so at "
            "half of its life",
            f"see that meshpact up, or what else renews it, runs; or {remedy}",
        )


def _chain(
    svid: X509Svid, pem: bytes, where: str, remedy: str, bundles: Bundles, now: datetime
) -> Iterator[Fault]:
    domain = svid.id.trust_domain.name
    if domain not in bundles:
        yield Fault(
            "bundle-missing",
            where,
            f"no readable trust bundle of {domain} was found: with none, nobody is trusted",
            f"meshpact certs init --trust-domain {domain} writes that of a local CA; else name it: "
            "--trust FILE",
        )
        return
    try:
        verify_peer(pem, pem, bundles, now.timestamp())
    except PeerError as error:
        if error.rule not in ("expired", "not-yet-valid"):  # told already
            yield Fault(error.rule, where, str(error), remedy)


def _name(svid: X509Svid, where: str, remedy: str) -> Iterator[Fault]:
    """A certificate without the DNS name that clients look for, or with a name beside it."""
    fault = why_not_dialled(svid)
    names = find_extension(read_extensions(svid.leaf), x509.SubjectAlternativeName)
    if fault and not (names and names.value.get_values_for_type(x509.DNSName)):
        said, _, how = fault.partition(". ")
        yield Fault("no-dns-name", where, said, how)
        return
    try:
        check_dns_name(svid.leaf, svid.id)
    except CertsError as error:
        yield Fault(error.rule, where, str(error), remedy)


def _key(path: Path, pem: bytes) -> Iterator[Fault]:
    try:
        keys.decode(pem)
    except keys.UnusableKey as fault:
        encrypted = fault.rule == "passphrase"
        yield Fault(
            "key",
            str(path),
            "it is encrypted: a workload's key must not be" if encrypted else f"it {fault}",
            f"openssl pkey -in {path} -out NEW, or issue it anew" if encrypted else "issue it anew",
        )


def _bundle(path: Path, domain: str, now: datetime) -> Iterator[Fault]:
    """The faults of a trust bundle; an empty `domain` means the one its first root names."""
    remedy = "write it anew: meshpact certs init writes that of a local CA; or remove it"
    try:
        pem = path.read_bytes()
    except OSError as error:
        yield _unreadable(path, error)
        return
    try:
        named = TrustDomain(domain) if domain else trust_domain_of(pem) or TrustDomain("unknown")
        bundle = TrustBundle.from_pem(named, pem)
    except CertsError as error:
        rule = "bundle" if isinstance(error, BundleError) else error.rule
        yield Fault(rule, str(path), str(error), remedy)
        return
    last = max(bundle.roots, key=lambda root: root.not_valid_after_utc)
    end = last.not_valid_after_utc
    if end <= now:
        yield Fault("expired", str(path), "all of its roots have expired", remedy)
    elif end - now < min(ROOT_SOON, (end - last.not_valid_before_utc) * SOON):
        yield Fault(
            "expires-soon",
            str(path),
            f"its last root ends at {end:%Y-%m-%d %H:%M} UTC",
            "rotate its CA: meshpact certs rotate prepare",
        )


def _anew(certificate: Path) -> str:
    """How a certificate is made anew, by the layout that its name is of."""
    if certificate.name == PAIRS[0][0]:
        return f"issue it anew: meshpact certs issue {certificate.resolve().parent.name}"
    if certificate.name == PAIRS[1][0]:
        return "look at the volume's driver, which writes it: the pod's events and its log say why"
    return "have it issued anew, by a local CA: meshpact certs issue SERVICE"


def _own_bundle(path: Path, certificate: Path) -> dict[str, TrustBundle]:
    """The bundle beside a certificate: that of the certificate's own domain."""
    try:
        domain = check_leaf(read_certificates(certificate.read_bytes())[0]).trust_domain
        return {domain.name: TrustBundle.from_pem(domain, path.read_bytes())}
    except (OSError, ValueError):
        return {}


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        constraints = find_extension(read_extensions(certificate), x509.BasicConstraints)
    except SvidError:
        return False
    return constraints is not None and constraints.value.ca


def _unreadable(path: Path, error: OSError) -> Fault:
    if isinstance(error, FileNotFoundError):
        return Fault(
            "unreadable", str(path), "it is not there", "look at the path, or write it anew"
        )
    return Fault(
        "unreadable",
        str(path),
        f"it cannot be read: {error.strerror}",
        "write it anew, or let this user read it",
    )
