"""Identities from a SPIFFE Workload API, as SPIRE's agent offers it on a Unix socket.

https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md. Needs the extra
`workload-api`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meshpact.certs.dialling import DiallingWarning
from meshpact.certs.errors import SourceError
from meshpact.certs.identity import Identity, Subscribers, same
from meshpact.certs.spiffe import SpiffeId

if TYPE_CHECKING:
    from meshpact.certs.workloadstream import Stream

_log: Final = logging.getLogger(__name__)

ADDRESS_VARIABLE: Final = "SPIFFE_ENDPOINT_SOCKET"
"""Where the address stands when none is given (SPIFFE Workload Endpoint, section 4)."""
FIRST_WAIT: Final = 10.0
"""Seconds within which the first identity must come."""
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 30.0
"""Bounds of the pause (seconds) before a stream that broke is opened again."""

_SCHEME: Final = "unix:"
_CLOSE_WAIT: Final = 5.0


class WorkloadApiSource:
    """Streams X.509-SVIDs and bundles, those of federated domains too, and follows their rotation.

    `address` is `unix:///path` (default: the variable SPIFFE_ENDPOINT_SOCKET). `workload` is the ID
    to take when this process has several; without it the first one counts (section 5.3), and with
    it no other is ever taken. The constructor waits for the first identity, `wait` seconds at most,
    and raises SourceError (`workload-api`, `workload-id`) when none comes. A stream that breaks is
    opened again, after a pause that doubles; meanwhile, and when something unusable comes, the last
    identity stays and the log says why. `close` it. Safe to use from several threads.
    """

    def __init__(
        self, address: str = "", *, workload: SpiffeId | None = None, wait: float = FIRST_WAIT
    ) -> None:
        self._socket = socket_path(address)
        self._workload = workload
        self._open = _opener()
        self._subscribers = Subscribers()
        self._identity: Identity | None = None
        self._failure: SourceError | None = None
        self._news = threading.Condition()
        self._closed = threading.Event()
        self._stream: Stream | None = None
        self._warning = DiallingWarning()
        self._thread = threading.Thread(target=self._run, name="meshpact-workload-api", daemon=True)
        self._thread.start()
        try:
            self._first = self._wait_for_first(wait)
        except BaseException:
            self.close()
            raise

    def current(self) -> Identity:
        """The identity that came last."""
        return self._identity or self._first

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` when another identity came, on the thread that received it."""
        return self._subscribers.add(callback)

    def close(self) -> None:
        """Ends the stream; the last identity stays. Again does no harm."""
        self._closed.set()
        stream = self._stream
        if stream is not None:
            stream.end()
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_WAIT)

    def __enter__(self) -> WorkloadApiSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait_for_first(self, wait: float) -> Identity:
        with self._news:
            self._news.wait_for(lambda: self._identity is not None or self._hopeless(), wait)
            if self._identity is not None:
                return self._identity
            raise self._failure or SourceError(
                "workload-api",
                f"the Workload API at {self._socket} gave no identity within {wait:g} s: look at "
                "its log",
            )

    def _hopeless(self) -> bool:
        return self._failure is not None and self._failure.rule == "workload-id"

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            self._stream = stream = self._open(
                self._socket, self._workload, self._take, self._failed
            )
            failure = stream.run(self._closed)
            if failure is None:
                return
            if stream.delivered:
                pause = FIRST_PAUSE
            self._failed(failure)
            if self._closed.wait(pause):
                return
            pause = min(pause * 2, LONGEST_PAUSE)

    def _failed(self, failure: SourceError) -> None:
        with self._news:
            repeated = self._failure is not None and str(self._failure) == str(failure)
            stays = "" if self._identity is None else ", the last identity stays"
            self._failure = failure
            self._news.notify_all()
        if not repeated:
            _log.warning("no new identity%s: %s", stays, failure)

    def _take(self, identity: Identity) -> None:
        with self._news:
            self._failure = None
            if self._identity is not None and same(identity, self._identity):
                return
            self._warning.look(identity.svid)
            self._identity = identity
            self._news.notify_all()
        self._subscribers.tell()


def socket_path(address: str = "") -> Path:
    """The path in `unix:///path`, given or in SPIFFE_ENDPOINT_SOCKET; SourceError when unusable."""
    text = address or os.environ.get(ADDRESS_VARIABLE, "")
    if not text:
        raise SourceError(
            "workload-api",
            "no address of a Workload API is known: write identity.workload_api in mesh.yaml, or "
            f"set {ADDRESS_VARIABLE}, such as unix:///run/spire/agent.sock",
        )
    path = text.removeprefix(_SCHEME)
    if path.startswith("///"):
        path = path[2:]
    if (
        not text.startswith(_SCHEME)
        or not path.startswith("/")
        or path.startswith("//")
        or path == "/"
        or set(path) & set("?#%\0")
    ):
        raise SourceError(
            "workload-api",
            f"{text[:100]!a} is no address of a Workload API: write unix:///path/of/socket",
        )
    return Path(path)


def _opener() -> type[Stream]:
    try:
        from meshpact.certs.workloadstream import Stream
    except ImportError as error:
        raise SourceError(
            "workload-api",
            f"the client of the Workload API is not installed ({error.name} is missing): pip "
            "install 'meshpact[workload-api]'",
        ) from None
    return Stream
