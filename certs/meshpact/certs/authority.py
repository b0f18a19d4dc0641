"""The two certificates of a CA, root and intermediate: how they are made, and read back checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from meshpact.certs import keys, profile
from meshpact.certs.castate import (
    FIRST_INTERMEDIATE,
    ROOT_FILE,
    Authority,
    CaState,
    Store,
    fingerprint,
)
from meshpact.certs.errors import CaError, SpiffeError
from meshpact.certs.issuance import Entry, Event
from meshpact.certs.keys import KeyType
from meshpact.certs.profile import Signer, Validity
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.wholedir import BrokenDirectory

ROOT_LIFETIME: Final = timedelta(days=3650)
INTERMEDIATE_LIFETIME: Final = timedelta(days=365)
INTERMEDIATE_RENEWAL: Final = timedelta(days=30)
"""An intermediate with less time left is replaced when the CA is loaded or asked to issue."""
BACKDATE: Final = timedelta(minutes=5)
"""How long before its issue a certificate is valid, for machines whose clocks are behind."""

_FIRST: Final = "1"
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a CA's files held when they were read."""

    written: bytes
    """The content of ca.json."""
    state: CaState
    roots: tuple[x509.Certificate, ...]
    """The one that signs first."""
    intermediate: Signer


def fill(store: Store, domain: TrustDomain, key_type: KeyType) -> None:
    """Makes a new CA in an empty directory."""
    now = datetime.now(UTC)
    first = make(store, store.directory / _FIRST, domain, key_type, now)
    store.commit(CaState(generation=1, changed=now, active=first))


def make(
    store: Store, folder: Path, domain: TrustDomain, key_type: KeyType, now: datetime
) -> Authority:
    """Writes a new root and its intermediate into a folder, which is made when it is missing."""
    folder.mkdir(mode=0o700, exist_ok=True)
    key = keys.generate(key_type)
    valid = Validity(now - BACKDATE, now + ROOT_LIFETIME)
    root = Signer(profile.root(domain, key, valid), key)
    intermediate = new_intermediate(root, now)
    store.write_root(folder, root)
    store.write_intermediate(folder, FIRST_INTERMEDIATE, intermediate)
    made = Authority(folder.name, fingerprint(root.certificate))
    store.log.append(entry("root", root.certificate, made.root, now))
    store.log.append(entry("intermediate", intermediate.certificate, made.root, now))
    return made


def new_intermediate(root: Signer, now: datetime) -> Signer:
    """A new intermediate under a root, with a key of the same kind."""
    key = keys.generate(keys.kind_of(root.key))
    end = min(now + INTERMEDIATE_LIFETIME, root.certificate.not_valid_after_utc)
    domain = trust_domain(root.certificate)
    valid = Validity(now - BACKDATE, end)
    return Signer(profile.intermediate(domain, key.public_key(), root, valid), key)


def load(store: Store) -> Loaded:
    """Reads the files that count. CaError `state` names the one that is amiss and what to do."""
    for attempt in range(_ATTEMPTS):
        try:
            written, state = store.read()
        except BrokenDirectory as broken:
            raise _state_error(store, broken) from None
        try:
            roots = tuple(store.root(each) for each in state.authorities)
            loaded = Loaded(written, state, roots, _intermediate(store, state.active, roots[0]))
        except BrokenDirectory as broken:
            # Another process may have taken the files away between two steps of a rotation.
            if attempt == _ATTEMPTS - 1 or _unchanged(store, written):
                raise _state_error(store, broken) from None
        else:
            if _unchanged(store, written):
                return loaded
    raise CaError("state", f"{store.directory} changes all the time: stop what writes to it")


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether a certificate bears the signature of an issuer."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def trust_domain(root: x509.Certificate) -> TrustDomain:
    """The trust domain that a root names by its URI SAN; CaError `trust-domain` without one."""
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


def following(state: CaState, **changes: object) -> CaState:
    """The state after a change."""
    return msgspec.structs.replace(state, generation=state.generation + 1, **changes)


def next_name(intermediate: str) -> str:
    """The name of the intermediate that replaces one."""
    number = intermediate.removeprefix(FIRST_INTERMEDIATE).lstrip("-") or "1"
    return f"{FIRST_INTERMEDIATE}-{int(number) + 1}"


def entry(event: Event, certificate: x509.Certificate, root: str, now: datetime) -> Entry:
    """The line of the issuance log for a certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    return Entry(
        v=1,
        time=now.astimezone(UTC),
        event=event,
        root=root,
        id=next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), ""),
        dns=next(iter(names.get_values_for_type(x509.DNSName)), ""),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _intermediate(store: Store, active: Authority, root: x509.Certificate) -> Signer:
    folder = store.directory / active.directory
    if root.not_valid_after_utc <= datetime.now(UTC):
        raise BrokenDirectory(folder / ROOT_FILE, "has expired")
    intermediate = store.intermediate(active)
    if not issued_by(intermediate.certificate, root):
        raise BrokenDirectory(
            folder / f"{active.intermediate}.pem", "was not issued by the root beside it"
        )
    return intermediate


def _unchanged(store: Store, written: bytes) -> bool:
    try:
        return store.read()[0] == written
    except BrokenDirectory:
        return False


def _state_error(store: Store, broken: BrokenDirectory) -> CaError:
    return CaError(
        "state",
        f"{broken}: put the right file back, or remove {store.directory} and run meshpact certs "
        "init to start with a new CA (all identities are issued anew then)",
    )
