"""Federation: the trust bundles of other trust domains, kept up to date for this process.

A bundle only ever vouches for its own domain, and that is never this mesh's: whoever runs a
federated domain can mint no ID of ours.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import BundleDocument, parse_document
from meshpact.certs.bundlefetch import FilePlace, Place, WebPlace
from meshpact.certs.errors import CertsError, SourceError
from meshpact.certs.files import private_directory, write_whole
from meshpact.certs.identity import Subscribers
from meshpact.certs.spiffe import TrustDomain

if TYPE_CHECKING:
    import ssl

_log: Final = logging.getLogger(__name__)

REFRESH: Final = 300.0
"""Seconds between two looks where nothing else is said."""
SHORTEST_REFRESH: Final = 5.0
LONGEST_REFRESH: Final = 86_400.0
"""Bounds of what a document may ask for by its refresh hint."""
RETRY: Final = 30.0
"""Seconds at most until a look that failed is repeated."""
FIRST_WAIT: Final = 5.0
"""Seconds that the first fetch of a domain that was never seen may hold up the start."""
FILE_LOOK: Final = 1.0
"""Seconds between two looks at the time of a file."""


@dataclass(frozen=True, slots=True)
class FederatedDomain:
    """Another trust domain, where its bundle is found (a file or an https address), and how often
    it is looked at in seconds when its document does not say."""

    trust_domain: TrustDomain
    bundle: str
    refresh: float = REFRESH


class Federation:
    """Follows the bundle documents of federated domains, each on a thread of its own.

    What cannot be read, breaks a rule, or has a lower sequence than the last one is refused and
    logged; the last good one stays. `keep` is a directory where good documents from the web are
    kept, so that a start without the network trusts whom the last run trusted. The constructor
    raises SourceError when a file is unusable, when a domain stands twice, or is `own`
    (`trust-domain`); an address that cannot be reached only delays it. `trust` are the roots for
    https, default the web's. `close` it. Safe to use from several threads.
    """

    def __init__(
        self,
        own: TrustDomain,
        domains: Iterable[FederatedDomain],
        *,
        keep: Path | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._subscribers = Subscribers()
        self._lock = threading.Lock()
        self._bundles: Mapping[str, TrustBundle] = MappingProxyType({})
        self._followers: dict[str, _Follower] = {}
        for domain in domains:
            name = domain.trust_domain.name
            if domain.trust_domain == own:
                raise SourceError(
                    "trust-domain",
                    f"{name} is this mesh's own trust domain: its bundle comes with the identity, "
                    "never by federation",
                )
            if name in self._followers:
                raise SourceError("trust-domain", f"the federated domain {name} stands twice")
            self._followers[name] = _Follower(domain, keep, trust, self._take)
        try:
            for follower in self._followers.values():
                follower.start()
            end = time.monotonic() + FIRST_WAIT
            for follower in self._followers.values():
                follower.wait(end - time.monotonic())
        except BaseException:
            self.close()
            raise

    @property
    def bundles(self) -> Mapping[str, TrustBundle]:
        """The bundles known now, by domain; the same object until one changes."""
        return self._bundles

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` after each change of `bundles`, as `IdentitySource.subscribe` does."""
        return self._subscribers.add(callback)

    def look(self) -> None:
        """Look at every document now, on their threads."""
        for follower in self._followers.values():
            follower.woken.set()

    def close(self) -> None:
        """Ends all looking; the bundles stay."""
        for follower in self._followers.values():
            follower.end()

    def _take(self, bundle: TrustBundle) -> None:
        with self._lock:
            if self._bundles.get(bundle.trust_domain.name) == bundle:
                return
            self._bundles = MappingProxyType({**self._bundles, bundle.trust_domain.name: bundle})
        self._subscribers.tell()


class _Follower:
    """The document of one domain."""

    def __init__(
        self,
        domain: FederatedDomain,
        keep: Path | None,
        trust: ssl.SSLContext | None,
        take: Callable[[TrustBundle], None],
    ) -> None:
        self._domain = domain
        self._name = domain.trust_domain
        web = "://" in domain.bundle
        self._place: Place = (
            WebPlace(domain.bundle, trust=trust) if web else FilePlace(Path(domain.bundle))
        )
        self._kept = keep / f"{self._name}.json" if keep is not None and web else None
        self._take = take
        self._last: BundleDocument | None = None
        self._seen: object = None
        self._fault = ""
        self._first = threading.Event()
        self._ended = False
        self.woken = threading.Event()

    def start(self) -> None:
        """Reads a file at once, what was kept from the web too, and goes on on a thread."""
        if isinstance(self._place, FilePlace):
            self._look()
        else:
            self._recall()
        threading.Thread(target=self._run, name="meshpact-federation", daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Waits for a first document."""
        if self._last is None:
            self._first.wait(max(seconds, 0.0))

    def end(self) -> None:
        """Ends the thread, when it is not in the midst of a fetch at once."""
        self._ended = True
        self.woken.set()

    def _run(self) -> None:
        pause = 0.0 if isinstance(self._place, WebPlace) else self._pause(failed=False)
        while True:
            self.woken.wait(pause)
            self.woken.clear()
            if self._ended:
                return
            failed = False
            try:
                self._look()
            except CertsError as error:
                failed = True
                self._failed(error)
            except Exception:
                failed = True
                _log.exception("the trust bundle of %s could not be looked at", self._name)
            else:
                self._fault = ""
            self._first.set()
            pause = self._pause(failed=failed)

    def _pause(self, *, failed: bool) -> float:
        pause = self._domain.refresh
        if self._last is not None and self._last.refresh_hint is not None:
            pause = min(max(self._last.refresh_hint, SHORTEST_REFRESH), LONGEST_REFRESH)
        if isinstance(self._place, FilePlace):
            return min(pause, FILE_LOOK)
        return min(pause, RETRY) if failed else pause

    def _look(self) -> None:
        seen = self._place.fingerprint()
        if seen is not None and seen == self._seen:
            return
        data = self._place.read()
        document = self._checked(data)
        changed = document != self._last
        self._seen = seen  # only now: what could not be read may be readable without a change
        self._last = document
        self._take(document.bundle)
        if changed and self._kept is not None:
            self._keep(self._kept, data)

    def _checked(self, data: bytes) -> BundleDocument:
        try:
            document = parse_document(data, self._name)
        except CertsError as error:
            raise SourceError(error.rule, f"{self._place}: {error}") from None
        last = self._last.sequence if self._last is not None else None
        if last is not None and (document.sequence is None or document.sequence < last):
            now = "none" if document.sequence is None else str(document.sequence)
            kept = f"; remove {self._kept} if it began anew" if self._kept else ""
            raise SourceError(
                "sequence",
                f"{self._place}: the bundle document of {self._name} went back from the sequence "
                f"{last} to {now}: an old copy is served{kept}",
            )
        return document

    def _recall(self) -> None:
        if self._kept is None or not self._kept.exists():
            return
        try:
            document = parse_document(FilePlace(self._kept).read(), self._name)
        except CertsError as error:
            _log.warning("what was kept of %s is not used: %s", self._name, error)
            return
        self._last = document
        self._take(document.bundle)

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            private_directory(path.parent)
            write_whole(path, data)
        except OSError as error:
            _log.warning("the bundle of %s cannot be kept in %s: %s", self._name, path, error)

    def _failed(self, error: CertsError) -> None:
        stays = "the last one stays" if self._last else "its workloads are not trusted"
        if str(error) != self._fault:
            self._fault = str(error)
            _log.error("no new trust bundle of %s, %s: %s", self._name, stays, error)
