"""One stream of X.509 contexts from a Workload API, by the `spiffe` library, as identities of ours.

Only `meshpact.certs.workloadapi` imports this: it needs an extra, and grpc.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import WorkloadApiClient
from spiffe.bundle.x509_bundle.x509_bundle import X509Bundle
from spiffe.errors import PySpiffeError
from spiffe.svid.x509_svid import X509Svid as GivenSvid
from spiffe.workloadapi.x509_context import X509Context

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.errors import CertsError, SourceError
from meshpact.certs.identity import Identity
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import X509Svid

_WORDS: Final = {
    "UNAVAILABLE": "nothing answers at {socket}: start the agent that should",
    "PERMISSION_DENIED": "the Workload API at {socket} has no identity for this process: register "
    "the workload",
    "INVALID_ARGUMENT": "what listens at {socket} does not understand the request: it is no "
    "Workload API",
    "UNIMPLEMENTED": "what listens at {socket} is no Workload API",
}


class Stream:
    """A stream, from its opening to its end.

    `take` gets each identity, on a thread of the library's; `refused` is told of contexts without
    a usable one: of `workload`, or the first one when that is None.
    """

    def __init__(
        self,
        socket: Path,
        workload: SpiffeId | None,
        take: Callable[[Identity], None],
        refused: Callable[[SourceError], None],
    ) -> None:
        self._socket = socket
        self._workload = workload
        self._take = take
        self._refused = refused
        self._over = threading.Event()
        self._error = ""
        self.delivered = False
        """Whether an identity came."""

    def run(self, closed: threading.Event) -> SourceError | None:
        """Works until the stream breaks, and says why, or until `end` after `closed` was set."""
        if not self._socket.exists():
            return SourceError(
                "workload-api",
                f"there is no socket at {self._socket}: start the agent that makes it, mount its "
                "directory here, or mend the address",
            )
        try:
            # One client a stream: a channel that failed holds back its next attempt for long.
            client = WorkloadApiClient(f"unix://{self._socket}")
        except PySpiffeError as error:
            return SourceError("workload-api", f"{self._socket}: {error}")
        handle = client.stream_x509_contexts(self._got, self._failed, retry_connect=False)
        try:
            if not closed.is_set():
                self._over.wait()
        finally:
            handle.cancel()
            client.close()
        return None if closed.is_set() else SourceError("workload-api", self._why())

    def end(self) -> None:
        """Makes `run` return."""
        self._over.set()

    def _got(self, context: X509Context) -> None:
        try:
            identity = _identity(context, self._workload)
        except CertsError as error:
            self._refused(
                SourceError(error.rule, f"from the Workload API at {self._socket}: {error}")
            )
            return
        self.delivered = True
        self._take(identity)

    def _failed(self, error: Exception) -> None:
        self._error = str(error)
        self._over.set()

    def _why(self) -> str:
        for code, words in _WORDS.items():
            if f"StatusCode.{code}" in self._error:
                return f"{words.format(socket=self._socket)} ({code})"
        return f"from the Workload API at {self._socket}: {self._error}"


def _identity(context: X509Context, workload: SpiffeId | None) -> Identity:
    given = context.default_svid
    if workload is not None:
        by_id = {str(each.spiffe_id): each for each in context.x509_svids}
        if str(workload) not in by_id:
            raise SourceError(
                "workload-id",
                f"this process is to be {workload} and was given {', '.join(sorted(by_id)[:5])}: "
                "mend its registration, or its id in mesh.yaml",
            )
        given = by_id[str(workload)]
    svid = _svid(given)
    bundles = {
        each.trust_domain.name: _bundle(each)
        for each in sorted(context.x509_bundle_set.bundles, key=lambda each: each.trust_domain.name)
    }
    return Identity(svid, MappingProxyType(bundles))


def _svid(given: GivenSvid) -> X509Svid:
    chain = b"".join(each.public_bytes(Encoding.PEM) for each in given.cert_chain)
    key = given.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return X509Svid.from_pem(chain, key)


def _bundle(given: X509Bundle) -> TrustBundle:
    """The bundle, its roots in an order that does not depend on chance."""
    roots = sorted(given.x509_authorities, key=lambda root: root.fingerprint(hashes.SHA256()))
    return TrustBundle(TrustDomain(given.trust_domain.name), tuple(roots))
