"""Why no connection comes up, in words and with the remedy: a look at what the server shows.

grpc tells a client that a handshake failed and little more: no certificate, no name. So a second
handshake, by Python's own TLS, reads the server's certificate. It sends nothing, proves nothing,
and happens only after a connection has failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import grpc
from cryptography import x509

from meshpact.certs.dialling import why_not_named
from meshpact.certs.errors import SvidError
from meshpact.certs.identity import Identity
from meshpact.certs.spiffe import SpiffeId, dns_name
from meshpact.certs.svid import check_leaf
from meshpact.clients.errors import CallError
from meshpact.interceptors.errors import DOMAIN, SVID_EXPIRED

SECONDS: Final = 2.0
"""How long a look may take."""
PATIENCE: Final = 1.0
"""Seconds that a failed call waits at most for the words of a look."""
RESTING: Final = 2.0
"""Seconds for which the result of a look is good."""

_log: Final = logging.getLogger(__name__)

_HANDSHAKE: Final = re.compile(
    r"^failed to connect to all addresses; .*"
    r"(Hostname Verification Check failed|handshake failed|Socket closed|[Cc]onnection reset)",
    re.DOTALL,
)
_ADDRESS: Final = re.compile(r"(?:dns:(?:///?)?|ipv[46]:)?(?P<host>\[[^]]+\]|[^/:]+):(?P<port>\d+)")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server showed. `chain_fault` is what is wrong with its chain; empty: nothing."""

    leaf: x509.Certificate
    chain_fault: str


class Doctor:
    """Explains failures of one channel; looks at its server at most once in RESTING seconds.

    One look for all calls that fail meanwhile, on a thread of its own: however many fail, and
    however long the server lets us wait, no call is held up for longer than PATIENCE. Safe to use
    from several threads.
    """

    def __init__(self, target: str, callee: SpiffeId) -> None:
        self._target = target
        self._callee = callee
        self._lock = threading.Lock()
        self._rested = 0.0
        self._seen: Identity | None = None
        self._look: Future[str] = Future()
        self._look.set_result("")

    def wanted(self, error: BaseException) -> bool:
        """Whether a failed call has to do with certificates, theirs or ours."""
        if not isinstance(error, CallError):
            return False
        if error.reason:
            return _says_expired(error)
        return (
            error.code is grpc.StatusCode.UNAVAILABLE
            and _HANDSHAKE.match(error.message) is not None
        )

    def words(
        self, identity: Identity | None, error: CallError | None = None, seconds: float = PATIENCE
    ) -> str:
        """Why a call, or a connection, with an identity failed; as `explain`.

        Blocks for at most `seconds`, and PATIENCE; empty when it is not known by then.
        """
        found = self._asked(identity, error)
        if isinstance(found, str):
            return found
        try:
            return found.result(min(seconds, PATIENCE))
        except TimeoutError:
            return ""

    async def words_async(
        self, identity: Identity | None, error: CallError | None = None, seconds: float = PATIENCE
    ) -> str:
        """The same without blocking the loop."""
        found = self._asked(identity, error)
        if isinstance(found, str):
            return found
        try:
            async with asyncio.timeout(min(seconds, PATIENCE)):
                return await asyncio.shield(asyncio.wrap_future(found))
        except TimeoutError:
            return ""

    def _asked(self, identity: Identity | None, error: CallError | None) -> str | Future[str]:
        """What is known, or the look that will tell."""
        if identity is None:
            return ""
        if error is not None and _says_expired(error):
            return _expired(identity, time.time())
        with self._lock:
            if not self._look.done():
                return self._look if self._seen is identity else ""
            if self._seen is not identity or time.monotonic() >= self._rested:
                self._seen, self._look = identity, Future()
                work = threading.Thread(
                    target=self._explain,
                    args=(identity, self._look),
                    name="meshpact-diagnosis",
                    daemon=True,
                )
                work.start()
            return self._look

    def _explain(self, identity: Identity, look: Future[str]) -> None:
        words = ""
        try:
            words = explain(self._target, self._callee, identity, seconds=SECONDS)
        except Exception as error:  # what a server shows may be anything
            _log.warning("%s: no diagnosis: %s", self._target, type(error).__name__)
        finally:
            self._rested = time.monotonic() + RESTING
            look.set_result(words)


def explain(target: str, callee: SpiffeId, identity: Identity, *, seconds: float = SECONDS) -> str:
    """Why no connection to `callee` at `target` comes up; empty when that cannot be told.

    Blocks for at most `seconds`, or twice that.
    """
    now = time.time()
    if identity.svid.not_after <= now:
        return _expired(identity, now)
    address = _ADDRESS.fullmatch(target)
    if address is None:
        return ""
    host, port = address["host"].strip("[]"), int(address["port"])
    bundle = identity.bundles.get(callee.trust_domain.name)
    try:
        shown = _look(host, port, dns_name(callee), bundle.pem if bundle else b"", seconds)
    except ssl.SSLError as error:
        return (
            f"what answers at {target} does not complete a TLS handshake "
            f"({error.reason or error}): see that it is a server of the mesh, on its mTLS port"
        )
    except OSError as error:
        return f"nothing answers at {target} ({error.strerror or error}): is the service running?"
    return judge(shown, callee, identity, now)


def judge(shown: Shown, callee: SpiffeId, identity: Identity, now: float) -> str:
    """What is wrong with what a server showed, or with what it makes of us. `now`: Unix time."""
    leaf = shown.leaf
    try:
        found = check_leaf(leaf)
    except SvidError as error:
        return f"the certificate of the server is no SVID: {error}. {callee} is called"
    if found != callee:
        return (
            f"{found} answers, and {callee} is called: see the service's address, and who listens "
            "there"
        )
    ends, begins = leaf.not_valid_after_utc.timestamp(), leaf.not_valid_before_utc.timestamp()
    if ends <= now:
        return (
            f"the certificate of {callee} expired at {_time(ends)}: see on its machine why it was "
            "not renewed: meshpact certs doctor"
        )
    if begins > now:
        return (
            f"the certificate of {callee} is valid from {_time(begins)} on, it is {_time(now)} "
            "here: see both machines' clocks"
        )
    fault = why_not_named(leaf, found)
    if fault:
        return fault
    if shown.chain_fault:
        return (
            f"no CA that this workload trusts for {callee.trust_domain} issued the certificate of "
            f"{callee} ({shown.chain_fault}): give both sides the same trust bundle; "
            "meshpact certs show prints what each has"
        )
    own = identity.svid
    return (
        f"the certificate of {callee} is as it should be, so it is the server that refuses ours "
        f"({own.id}, valid until {_time(own.not_after)}): see that it trusts the CA of "
        f"{own.id.trust_domain}; its log says why"
    )


def _says_expired(error: CallError) -> bool:
    return error.reason == SVID_EXPIRED.name and error.domain == DOMAIN


def _expired(identity: Identity, now: float) -> str:
    own = identity.svid
    if own.not_after <= now:
        return (
            f"this workload's own certificate ({own.id}) expired at {_time(own.not_after)}, and "
            "servers refuse it. See why it was not renewed: meshpact certs doctor"
        )
    return (
        f"the server holds this workload's own certificate ({own.id}) to be expired, here it is "
        f"valid until {_time(own.not_after)}: see both machines' clocks"
    )


def _look(host: str, port: int, name: str, roots_pem: bytes, seconds: float) -> Shown:
    context = _context()
    with _connected(context, host, port, name, seconds) as connection:
        raw = connection.getpeercert(binary_form=True)
    if not raw:
        raise ssl.SSLError("the server showed no certificate")
    fault = "this workload has no trust bundle of that domain"
    if roots_pem:
        context = _context()
        context.load_verify_locations(cadata=roots_pem.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED
        fault = ""
        try:
            with _connected(context, host, port, name, seconds):
                pass
        except ssl.SSLCertVerificationError as error:
            fault = error.verify_message
    return Shown(x509.load_der_x509_certificate(raw), fault)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


@contextlib.contextmanager
def _connected(
    context: ssl.SSLContext, host: str, port: int, name: str, seconds: float
) -> Generator[ssl.SSLSocket]:
    with (
        socket.create_connection((host, port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        yield connection


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
