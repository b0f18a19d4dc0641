"""What is wrong with the local CA's directory, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from meshpact.certs import authority
from meshpact.certs.authority import Loaded
from meshpact.certs.ca import bundle_file
from meshpact.certs.castate import LOG_FILE, ROOT_KEY_FILE, Store, fingerprint, others_can_write
from meshpact.certs.errors import CaError
from meshpact.certs.fault import Fault, directory_faults, key_faults
from meshpact.certs.pem import read_certificates
from meshpact.certs.wholedir import exists, leftovers

ROOT_SOON: Final = timedelta(days=90)
INTERMEDIATE_SOON: Final = authority.INTERMEDIATE_RENEWAL

_REMEDIES: Final = {
    "permissions": "the fault says it",
    "passphrase": "give the file with the passphrase: --passphrase-file",
    "log": "put the right file back from a copy",
}


def ca_faults(
    directory: Path, trust: Path, now: datetime, passphrase: bytes | None = None
) -> Iterator[Fault]:
    """The faults of a CA, and of the trust bundle that should hold its roots."""
    yield from _unfinished(directory)
    if not exists(directory):
        yield Fault(
            "ca",
            str(directory),
            "there is no CA",
            "meshpact certs init --trust-domain DOMAIN, the trust_domain of mesh.yaml; without "
            "one, name what to look at",
        )
        return
    yield from directory_faults(directory)
    for folder in sorted(each for each in directory.iterdir() if each.is_dir()):
        if others_can_write(folder):
            yield from directory_faults(folder)
    for path in sorted(directory.rglob("*.key.pem")):
        yield from key_faults(path)
    store = Store(directory, passphrase)
    try:
        loaded = authority.load(store)
    except CaError as error:
        if error.rule != "permissions":  # told above
            remedy = _REMEDIES.get(error.rule, "put the right file back, or start with a new CA")
            yield Fault(error.rule, str(directory), str(error), remedy)
        return
    try:
        store.log.live(now)
    except CaError as error:
        yield Fault(error.rule, str(directory / LOG_FILE), str(error), _REMEDIES["log"])
    for path in store.leftovers(loaded.state):
        yield Fault(
            "leftover",
            str(path),
            "a change of the CA was cut short and left it; it is not in use",
            "none is needed, the next meshpact certs rotate removes it",
        )
    yield from _ends(directory, loaded, now)
    yield from _bundle(loaded, trust)


def _unfinished(directory: Path) -> Iterator[Fault]:
    for path in leftovers(directory):
        yield Fault(
            "leftover",
            str(path),
            "the making of a CA was cut short and left it; it is not in use",
            f"rm -r {path}",
        )


def _ends(directory: Path, loaded: Loaded, now: datetime) -> Iterator[Fault]:
    active = loaded.state.active
    folder = directory / active.directory
    root_end = loaded.roots[0].not_valid_after_utc
    if root_end <= now + ROOT_SOON:
        yield Fault(
            "expires-soon",
            str(folder / "root.pem"),
            f"the root ends at {root_end:%Y-%m-%d %H:%M} UTC",
            "rotate the CA: meshpact certs rotate prepare",
        )
    end = loaded.intermediate.certificate.not_valid_after_utc
    if end <= now + INTERMEDIATE_SOON and end < root_end:
        yield Fault(
            "expired" if end <= now else "expires-soon",
            str(folder / f"{active.intermediate}.pem"),
            f"the issuing intermediate ends at {end:%Y-%m-%d %H:%M} UTC",
            f"put the root's key back to {folder / ROOT_KEY_FILE} and run meshpact certs init "
            f"--trust-domain {authority.trust_domain(loaded.roots[0])}, which makes a new one; "
            "then move the key away again",
        )


def _bundle(loaded: Loaded, trust: Path) -> Iterator[Fault]:
    domain = authority.trust_domain(loaded.roots[0])
    path = bundle_file(trust, domain)
    remedy = f"meshpact certs init --trust-domain {domain} (it writes the bundle, the CA stays)"
    if not path.exists():
        yield Fault("bundle-missing", str(path), f"the trust bundle of {domain} is missing", remedy)
        return
    try:
        found = {fingerprint(each) for each in read_certificates(path.read_bytes())}
    except (OSError, ValueError):
        return  # told with the other bundles
    if not {fingerprint(each) for each in loaded.roots} <= found:
        yield Fault("bundle", str(path), "the trust bundle lacks a root of the CA", remedy)
