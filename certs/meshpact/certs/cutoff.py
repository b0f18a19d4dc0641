"""Who a step of a CA's rotation would cut off, by what lies on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from meshpact.certs.authority import Loaded
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.castate import fingerprint
from meshpact.certs.errors import PeerError
from meshpact.certs.issuance import Leaf
from meshpact.certs.pem import read_certificates
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import check_leaf
from meshpact.certs.verify import verify_peer

CERTIFICATE_FILES: Final = ("cert.pem", "tls.crt")
"""Names of a certificate chain in a workload's directory: ours, and that of csi-driver-spiffe."""
BUNDLE_FILE: Final = "ca.crt"
"""Name of a trust bundle in a workload's directory, as csi-driver-spiffe writes it."""

Live = Mapping[tuple[str, str], Leaf]
"""What the issuance log knows to be valid, by SPIFFE ID and SHA-256 of the root."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """One reason why a step cannot be taken yet."""

    who: str
    """The workload's SPIFFE ID, or the file that nobody is known to read."""
    why: str
    until: datetime | None
    """When the reason is gone by itself, None: never."""

    def __str__(self) -> str:
        when = f" (until {self.until:%Y-%m-%d %H:%M:%S} UTC)" if self.until else ""
        return f"{self.who}: {self.why}{when}"


@dataclass(frozen=True, slots=True)
class Places:
    """Where those that trust a CA have their files."""

    trust_domain: TrustDomain
    trust: Path
    identities: Path
    bundles: tuple[Path, ...]

    @property
    def bundle(self) -> Path:
        """The domain's trust bundle."""
        return self.trust / f"{self.trust_domain}.pem"

    def chains(self) -> Iterator[tuple[Path, bytes, SpiffeId, datetime]]:
        """Each workload's certificate chain: its file, PEM text, ID and end.

        Files that hold no SVID of the domain are left out: nobody can use them.
        """
        for name in CERTIFICATE_FILES:
            for path in sorted(self.identities.glob(f"*/{name}")):
                try:
                    pem = path.read_bytes()
                    leaf = read_certificates(pem)[0]
                    spiffe_id = check_leaf(leaf)
                except (OSError, ValueError):
                    continue
                if spiffe_id.trust_domain == self.trust_domain:
                    yield path, pem, spiffe_id, leaf.not_valid_after_utc


@dataclass(frozen=True, slots=True)
class Settling:
    """How long it takes until nobody uses what was replaced."""

    files: timedelta
    """Until every running workload has taken up what was written for it."""
    connections: timedelta = timedelta(0)
    """How long a client that stays on its connection goes on with the certificate it began with:
    servers end a connection at their maximum age."""
    followers: frozenset[str] = frozenset()
    """SPIFFE IDs of workloads that open a new connection for a new certificate."""

    def of_certificate(self, who: str) -> timedelta:
        """Until a workload shows its new certificate in every new call."""
        return self.files if who in self.followers else max(self.files, self.connections)


def before_activate(
    places: Places, live: Live, loaded: Loaded, now: datetime, settling: Settling
) -> Iterator[Blocker]:
    """Live workloads that may not trust the new root when it begins to sign."""
    state = loaded.state
    if state.next is None:
        return
    owners = {path.parent: str(who) for path, _, who, end in places.chains() if end > now}
    copies = {
        path: owners.get(path.parent, "") for path in places.identities.glob(f"*/{BUNDLE_FILE}")
    }
    copies |= {path: str(path) for path in places.bundles}
    for path, who in sorted(copies.items()):
        if who and state.next.root not in _roots_in(path):
            yield Blocker(who, f"{path} lacks the new root: write it there", None)
    seen = max(state.changed, _written(places.bundle))
    ready = seen + settling.files
    if now < ready:
        for who in sorted({spiffe_id for spiffe_id, _ in live} | set(owners.values())):
            yield Blocker(who, "may not have read the trust bundle with the new root yet", ready)


def before_retire(
    places: Places, live: Live, loaded: Loaded, now: datetime, settling: Settling
) -> Iterator[Blocker]:
    """Live workloads whose certificate nobody would trust without the old root."""
    state = loaded.state
    if state.previous is None:
        return
    kept = TrustBundle(places.trust_domain, loaded.roots[:1])
    leaving = TrustBundle(places.trust_domain, loaded.roots[1:])
    named: set[str] = set()
    for path, pem, spiffe_id, end in places.chains():
        if _trusted(pem, leaving, now) and not _trusted(pem, kept, now):
            named.add(str(spiffe_id))
            yield Blocker(
                str(spiffe_id), f"{path} holds a certificate of the old root: issue it anew", end
            )
    for (who, root), leaf in sorted(live.items()):
        if root != state.previous.root or who in named:
            continue
        newer = live.get((who, state.active.root))
        if newer is None:
            yield Blocker(
                who,
                "holds a certificate of the old root and was issued none of the new one",
                leaf.not_after,
            )
        elif now < (ready := newer.issued + settling.of_certificate(who)):
            why = (
                "may not have taken up its new certificate yet"
                if now < newer.issued + settling.files
                else "may still be on a connection that it opened with its old certificate"
            )
            yield Blocker(who, why, ready)


def _trusted(pem: bytes, bundle: TrustBundle, now: datetime) -> bool:
    try:
        verify_peer(pem, pem, {bundle.trust_domain.name: bundle}, now.timestamp())
    except PeerError:
        return False
    return True


def _roots_in(path: Path) -> set[str]:
    try:
        return {fingerprint(each) for each in read_certificates(path.read_bytes())}
    except (OSError, ValueError):
        return set()


def _written(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)
