"""What a client says of a connection that does not come up: what is wrong, and what to do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from demo.v1 import demo_pb2
from demo.v1.demo_mesh import DemoServiceClient, DemoServiceClientSync
from demoservice import Demo
from meshpact.certs.source import FixedSource, Identity
from meshpact.certs.svid import X509Svid
from meshpact.clients import CallError, Channel, ChannelSync, diagnosis
from meshpact.interceptors.identity import Peers
from meshpact.testing.authority import Authority, Leaf
from meshpact.testing.hosting import Workbench

HELLO = demo_pb2.EchoRequest(text="a")


@pytest.fixture(scope="module")
def bench() -> Generator[Workbench]:
    with Workbench() as made:
        made.roles.set({made.id_of("caller"): frozenset({"demo.caller"})})
        yield made


def source(bench: Workbench, leaf: Leaf) -> FixedSource:
    return FixedSource(Identity(X509Svid.from_pem(leaf.chain_pem, leaf.key_pem), bench.bundles))


def stranger() -> Authority:
    return Authority("test.example")


OVER = {"lifetime": -10.0, "age": 100.0}
AHEAD = {"lifetime": 500.0, "age": -100.0}


async def failures(bench: Workbench, address: str, caller: FixedSource) -> list[CallError]:
    """What a call and the wait for a connection raise, on asyncio and on threads."""
    found: list[CallError] = []
    async with Channel(address, identity=caller, callee=bench.service) as channel:
        with pytest.raises(CallError) as caught:
            await DemoServiceClient(channel).echo(HELLO)
        found.append(caught.value)
        with pytest.raises(CallError) as caught:
            await channel.wait_ready(0.1)
        found.append(caught.value)
    with ChannelSync(address, identity=caller, callee=bench.service) as threaded:
        with pytest.raises(CallError) as caught:
            DemoServiceClientSync(threaded).echo(HELLO)
        found.append(caught.value)
        with pytest.raises(CallError) as caught:
            threaded.wait_ready(0.1)
        found.append(caught.value)
    return found


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ({"service": "other"}, "spiffe://test.example/other answers, and spiffe://test.example/se"),
        ({"service": "server", "dns": []}, "its certificate has no DNS name, and clients look for"),
        ({"service": "server", "dns": ["x.y"]}, "has the DNS names x.y, and clients look for"),
        ({"service": "server", **OVER}, "the certificate of spiffe://test.example/server expired"),
        ({"service": "server", **AHEAD}, "see both machines' clocks"),
        ({"service": "server", "uris": [], "dns": []}, "the certificate of the server is no SVID"),
    ],
)
async def test_a_certificate_that_clients_refuse_is_named_with_its_fault(
    bench: Workbench, shown: dict[str, object], words: str
) -> None:
    leaf = bench.authority.issue(**shown)  # type: ignore[arg-type]
    with serving_bare(leaf) as address:
        for error in await failures(bench, address, bench.source("caller")):
            assert words in error.message
            assert error.code is grpc.StatusCode.UNAVAILABLE


async def test_a_server_of_another_ca_is_named_as_such(bench: Workbench) -> None:
    with serving_bare(stranger().issue("server")) as address:
        for error in await failures(bench, address, bench.source("caller")):
            assert "no CA that this workload trusts for test.example issued" in error.message


async def test_a_server_that_refuses_us_is_told_from_one_that_we_refuse(bench: Workbench) -> None:
    with bench.serving("aio", lambda: [Demo()]) as port:
        caller = source(bench, stranger().issue("caller"))
        for error in await failures(bench, f"127.0.0.1:{port}", caller):
            assert "it is the server that refuses ours" in error.message
            assert "PRIVATE" not in str(error)


async def test_a_workload_whose_own_certificate_is_over_is_told_so(bench: Workbench) -> None:
    with bench.serving("aio", lambda: [Demo()]) as port:
        caller = source(bench, bench.authority.issue("caller", lifetime=-10, age=100))
        for error in await failures(bench, f"127.0.0.1:{port}", caller):
            assert "this workload's own certificate" in error.message


async def test_a_server_whose_clock_is_ahead_is_told_from_an_expired_certificate(
    bench: Workbench,
) -> None:
    ahead = bench.guard(
        peers=Peers(bench.source("server"), wall=lambda: time.time() + 7200),
    )
    with bench.serving("aio", lambda: [Demo()], guard=ahead) as port:
        async with Channel(
            f"127.0.0.1:{port}", identity=bench.source("caller"), callee=bench.service
        ) as channel:
            with pytest.raises(CallError, match="see both machines' clocks") as caught:
                await DemoServiceClient(channel).echo(HELLO)
    assert caught.value.reason == "SVID_EXPIRED"


async def test_a_port_without_tls_is_told_so(bench: Workbench) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for error in await failures(bench, f"127.0.0.1:{port}", bench.source("caller")):
        assert "does not complete a TLS handshake" in error.message
    server.stop(None).wait()


async def test_an_address_where_nobody_listens_is_told_so(bench: Workbench) -> None:
    with socket.socket() as held:  # bound, so that nobody else comes to listen there
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        for error in await failures(bench, address, bench.source("caller")):
            assert "onnection refused" in error.message


class Tarpit:
    """A port that closes the first connection and then lets everybody wait until it is closed."""

    def __init__(self, listener: socket.socket) -> None:
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self.held: list[socket.socket] = []
        self.holds = threading.Event()
        self._listener = listener

    def serve(self) -> None:
        self._listener.accept()[0].close()
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.held.append(connection)
            threading.Thread(target=self._hold, args=(connection,), daemon=True).start()

    def _hold(self, connection: socket.socket) -> None:
        self.holds.set()
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass


def looks() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "meshpact-diagnosis"]


@pytest.fixture
def tarpit(monkeypatch: pytest.MonkeyPatch) -> Generator[Tarpit]:
    for earlier in looks():
        earlier.join(30)
    monkeypatch.setattr(diagnosis, "SECONDS", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Tarpit(listener)
        serving = threading.Thread(target=made.serve)
        serving.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()
            for connection in made.held:
                with contextlib.suppress(OSError), connection:
                    connection.shutdown(socket.SHUT_RDWR)
            for look in looks():
                look.join(30)


async def test_many_failing_calls_are_one_look_and_do_not_wait_for_its_end(
    bench: Workbench, tarpit: Tarpit
) -> None:
    channel = Channel(tarpit.address, identity=bench.source("caller"), callee=bench.service)
    async with channel:
        client = DemoServiceClient(channel)
        calls = [asyncio.create_task(client.echo(HELLO, timeout=10)) for _ in range(50)]
        assert await asyncio.to_thread(tarpit.holds.wait, 30)
        assert await asyncio.to_thread(int) == 0, "the loop's threads are free"
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(end) for end in ends} == {CallError}
    assert len(looks()) == 1, "and it still looks"


def test_threads_that_fail_are_one_look_and_do_not_wait_for_its_end(
    bench: Workbench, tarpit: Tarpit
) -> None:
    channel = ChannelSync(tarpit.address, identity=bench.source("caller"), callee=bench.service)
    with channel, ThreadPoolExecutor(16) as threads:
        client = DemoServiceClientSync(channel)
        calls = [threads.submit(client.echo, HELLO, timeout=10) for _ in range(32)]
        assert {type(call.exception(30)) for call in calls} == {CallError}
    assert len(looks()) == 1, "and it still looks"


async def test_a_look_that_fails_in_an_unknown_way_leaves_the_calls_own_error(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("an unreadable certificate")

    monkeypatch.setattr(diagnosis, "judge", broken)
    with serving_bare(stranger().issue("server")) as address:
        for error in await failures(bench, address, bench.source("caller")):
            assert error.code is grpc.StatusCode.UNAVAILABLE
    assert "no diagnosis: ValueError" in caplog.text


@contextlib.contextmanager
def serving_bare(leaf: Leaf) -> Generator[str]:
    """A server with any certificate, also one that no source would hand out."""
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    credentials = grpc.ssl_server_credentials([(leaf.key_pem, leaf.chain_pem)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
