"""A certificate authority in a directory, for the workloads of one trust domain.

A root, whose key may be kept elsewhere, and an intermediate that issues. Keys lie in files that
only their owner can read, encrypted when a passphrase is given.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from meshpact.certs import authority, keys, profile
from meshpact.certs.authority import BACKDATE as BACKDATE
from meshpact.certs.authority import Loaded
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.castate import ROOT_KEY_FILE, Phase, Store, fingerprint
from meshpact.certs.errors import BundleError
from meshpact.certs.errors import CaError as CaError
from meshpact.certs.files import PUBLIC_FILE, private_directory, write_whole
from meshpact.certs.keys import KeyType
from meshpact.certs.profile import Signer, Validity
from meshpact.certs.source import CERTIFICATE_FILE, KEY_FILE
from meshpact.certs.spiffe import SpiffeId, TrustDomain, dns_name
from meshpact.certs.svid import X509Svid
from meshpact.certs.wholedir import BrokenDirectory, exists, make_whole

DEFAULT_LIFETIME: Final = timedelta(hours=1)
MAX_LIFETIME: Final = timedelta(hours=24)


class LocalCA:
    """A CA that issues SVIDs of one trust domain. Made by `init` or `load`.

    What other processes do to the same directory, it follows: `issue` always signs by what is on
    disk. `bundle`, `generation`, `phase` and `vouches_for` tell of what was read last. Whoever
    keeps workloads' files up to date does, every second or so and at no cost:

        if ca.refresh():                 # a step of a rotation was taken, or an intermediate made
            sync_bundle(trust_dir, ca)   # first everybody trusts the roots that count now
            for each workload:           # then every leaf is of the root that signs
                if not ca.vouches_for(its_svid):
                    write_svid(its_dir, ca.issue(its_id))

    Safe to use from several threads and processes.
    """

    def __init__(self, store: Store, loaded: Loaded, trust_domain: TrustDomain) -> None:
        self._store = store
        self._loaded = loaded
        self.trust_domain = trust_domain

    @classmethod
    def init(
        cls,
        directory: Path,
        trust_domain: TrustDomain | str,
        *,
        key_type: KeyType = KeyType.EC_P256,
        passphrase: bytes | None = None,
    ) -> LocalCA:
        """Makes a CA in `directory`, or loads the one that is there.

        `key_type` and `passphrase` are those of a new CA's keys; the passphrase also opens the keys
        of one that is there. CaError when that one is broken (`state`, `permissions`), cannot be
        opened (`passphrase`) or is of another domain (`trust-domain`).
        """
        if isinstance(trust_domain, str):
            trust_domain = TrustDomain(trust_domain)
        if not exists(directory):
            make_whole(
                directory,
                lambda aside: authority.fill(Store(aside, passphrase), trust_domain, key_type),
            )
        ca = cls.load(directory, passphrase=passphrase)
        if ca.trust_domain != trust_domain:
            raise CaError(
                "trust-domain",
                f"{directory} holds the CA of {ca.trust_domain}, not of {trust_domain}: choose "
                "another state directory, or remove this one to start anew",
            )
        return ca

    @classmethod
    def load(cls, directory: Path, *, passphrase: bytes | None = None) -> LocalCA:
        """The CA in `directory`. CaError `state` names the file that is amiss and what to do."""
        if not exists(directory):
            raise CaError(
                "state",
                f"there is no CA in {directory}: make one by meshpact certs init --trust-domain "
                "DOMAIN, the trust_domain of mesh.yaml",
            )
        store = Store(directory, passphrase)
        loaded = authority.load(store)
        ca = cls(store, loaded, authority.trust_domain(loaded.roots[0]))
        ca.renew_intermediate()
        return ca

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return self._store.directory

    @property
    def root_key(self) -> Path:
        """Where the key of the root that signs lies, or would lie if it were not kept elsewhere."""
        return self.directory / self._loaded.state.active.directory / ROOT_KEY_FILE

    @property
    def key_type(self) -> KeyType:
        """The kind of the key that issues."""
        return keys.kind_of(self._loaded.intermediate.key)

    @property
    def encrypted(self) -> bool:
        """Whether the key that issues is encrypted on disk; false when it is no longer there."""
        try:
            return self._store.is_encrypted(self._loaded.state.active)
        except BrokenDirectory:
            return False

    @property
    def bundle(self) -> TrustBundle:
        """What others need to trust this CA: its root, and during a rotation both roots."""
        return TrustBundle(self.trust_domain, self._loaded.roots)

    @property
    def retired(self) -> frozenset[str]:
        """SHA-256 of the roots that a rotation took out of the bundle."""
        return frozenset(self._loaded.state.retired)

    @property
    def generation(self) -> int:
        """A number that rises with each change of the roots, or of the CA that signs."""
        return self._loaded.state.generation

    @property
    def phase(self) -> Phase:
        """How far a rotation is: `steady` (none), `prepared`, `activated`."""
        return self._loaded.state.phase

    def changed(self) -> bool:
        """Whether the files say something else than was read last, or cannot be read (20 us)."""
        try:
            return self._store.read()[0] != self._loaded.written
        except BrokenDirectory:
            return True

    def refresh(self) -> bool:
        """Reads the files again when they changed; whether they had.

        CaError as by `load`, and what was read before stays in use.
        """
        if not self.changed():
            return False
        self._loaded = authority.load(self._store)
        return True

    def vouches_for(self, svid: X509Svid) -> bool:
        """Whether an SVID was issued under the root that signs now, not under one that leaves."""
        root = self._loaded.roots[0]
        return any(authority.issued_by(each, root) for each in svid.chain)

    def issue(
        self,
        spiffe_id: SpiffeId,
        *,
        lifetime: timedelta = DEFAULT_LIFETIME,
        key_type: KeyType = KeyType.EC_P256,
        now: datetime | None = None,
    ) -> X509Svid:
        """A new SVID with a new key, valid from 5 minutes ago for `lifetime` (at most 24 h).

        It is written to the issuance log before it is returned. CaError `trust-domain` for another
        domain's ID, `lifetime` for one out of bounds, `dns-name` for a name that another ID holds,
        `log` when the log cannot be read or written, `expired` when the intermediate is;
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
        name = dns_name(spiffe_id)
        key = keys.generate(key_type)
        moment = now or datetime.now(UTC)
        with self._store.lock():
            self.refresh()
            self._renew_intermediate(moment)
            self._check_owner(name, spiffe_id)
            issuer = self._loaded.intermediate
            end = min(moment + lifetime, issuer.certificate.not_valid_after_utc)
            if end <= moment:
                raise self._intermediate_expired(issuer)
            valid = Validity(moment - BACKDATE, end)
            leaf = profile.leaf(spiffe_id, key.public_key(), issuer, valid)
            self._store.log.append(
                authority.entry("issued", leaf, self._loaded.state.active.root, moment)
            )
        return X509Svid(spiffe_id, (leaf, issuer.certificate), keys.encode(key))

    def renew_intermediate(self) -> None:
        """Replaces an intermediate that runs out, when the root's key is there to sign a new one.

        LocalCA does so by itself; without the root's key the old one serves to its end.
        """
        now = datetime.now(UTC)
        if self._runs_out(now) and self._root_signer():
            with self._store.lock():
                self.refresh()
                self._renew_intermediate(now)

    def _root_signer(self) -> Signer | None:
        """The root, None when its key is elsewhere or its passphrase was not given."""
        try:
            return self._store.root_signer(self._loaded.state.active)
        except CaError as error:
            if error.rule == "passphrase":
                return None
            raise

    def _runs_out(self, now: datetime) -> bool:
        end = self._loaded.intermediate.certificate.not_valid_after_utc
        root_end = self._loaded.roots[0].not_valid_after_utc
        return end <= now + authority.INTERMEDIATE_RENEWAL and end < root_end

    def _renew_intermediate(self, now: datetime) -> None:
        if not self._runs_out(now):
            return
        state = self._loaded.state
        root = self._root_signer()
        if root is None:
            return
        name = authority.next_name(state.active.intermediate)
        folder = self.directory / state.active.directory
        signer = authority.new_intermediate(root, now)
        self._store.write_intermediate(folder, name, signer)
        self._store.log.append(
            authority.entry("intermediate", signer.certificate, state.active.root, now)
        )
        active = msgspec.structs.replace(state.active, intermediate=name)
        self._store.commit(authority.following(state, active=active))
        self._loaded = authority.load(self._store)
        self._store.sweep(self._loaded.state)

    def _check_owner(self, name: str, spiffe_id: SpiffeId) -> None:
        owner = self._store.log.owner(name)
        if owner not in (None, str(spiffe_id)):
            raise CaError(
                "dns-name",
                f"{name} was issued to {owner} ({self._store.log.path}): a name is never issued to "
                f"a second ID, and {spiffe_id} needs another",
            )

    def _intermediate_expired(self, issuer: Signer) -> CaError:
        return CaError(
            "expired",
            "the issuing intermediate expired at "
            f"{issuer.certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC: put the root's key "
            f"back to {self.root_key} (give its passphrase if it has one), issue again, then move "
            "it away",
        )

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
    path = bundle_file(directory, bundle.trust_domain)
    write_whole(path, bundle.pem, PUBLIC_FILE)
    return path


def bundle_file(directory: Path, trust_domain: TrustDomain) -> Path:
    """Where a directory of trust bundles holds the one of a domain."""
    return directory / f"{trust_domain}.pem"


def sync_bundle(directory: Path, ca: LocalCA) -> bool:
    """Lets the domain's bundle in a directory hold the CA's roots; whether it had to be written.

    Roots that a rotation retired leave it, roots from elsewhere stay; an unreadable bundle is
    replaced.
    """
    path = bundle_file(directory, ca.trust_domain)
    try:
        found = TrustBundle.from_pem(ca.trust_domain, path.read_bytes()).roots
    except (OSError, BundleError):
        found = ()
    foreign = [
        each
        for each in found
        if each not in ca.bundle.roots and fingerprint(each) not in ca.retired
    ]
    wanted = TrustBundle(ca.trust_domain, (*ca.bundle.roots, *foreign))
    if set(found) == set(wanted.roots):
        return False
    write_bundle(directory, wanted)
    return True
