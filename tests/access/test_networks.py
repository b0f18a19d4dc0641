"""Where calls may come from: behind proxies that are trusted, over Unix sockets, in every shape."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.v1 import demo_pb2 as pb
from demo.v1.demo_mesh import DEMO_SERVICE
from guard.scripted import KEY, Script, message, path, servicer
from guard.situations import ALL_SHAPES, KINDS, ROLE
from meshpact.certs.credentials import channel_credentials, server_credentials
from meshpact.interceptors import sync
from meshpact.interceptors.network import MALFORMED, MAX_HOPS, address_of, forwarded
from meshpact.mesh.model import NetworkLists
from meshpact.mesh.networks import AddressSet, Networks
from meshpact.testing.hosting import Kind, Workbench

INSIDE = NetworkLists(mesh=("10.0.0.0/8", "fd00::/8"), trusted_proxies=("127.0.0.1", "10.9.0.0/16"))
Forwarded = tuple[str, ...]


@contextlib.contextmanager
def behind(kind: Kind, lists: NetworkLists) -> Generator[tuple[Workbench, int]]:
    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): [ROLE]})
        guard = bench.guard(networks=Networks(lists))
        with bench.serving(kind, lambda: [servicer(kind, Script())], guard=guard) as port:
            yield bench, port


def answered(bench: Workbench, port: int, shape: str, *values: str) -> tuple[str, str]:
    """(reason, the address refused) of a call that forwards these values."""
    metadata = tuple(("x-forwarded-for", value.encode()) for value in values)
    with bench.connect(port, "caller") as wire:
        answer = wire.call(path(shape), message(shape, KEY), metadata)
    info = answer.error_info
    return answer.reason, info.metadata["peer"] if info is not None else ""


@pytest.mark.parametrize("kind", KINDS)
def test_behind_a_trusted_proxy_the_forwarded_address_counts(kind: Kind) -> None:
    with behind(kind, INSIDE) as (bench, port):
        for shape in ALL_SHAPES:
            assert answered(bench, port, shape, "10.1.2.3") == ("", "")
            assert answered(bench, port, shape, "fd00::7") == ("", "")
            assert answered(bench, port, shape, "::ffff:10.1.2.3") == ("", "")
            assert answered(bench, port, shape, "192.0.2.1") == ("NETWORK_DENIED", "192.0.2.1")
            assert answered(bench, port, shape) == ("NETWORK_DENIED", "127.0.0.1")
        # Whoever calls writes what it likes before what the proxies add.
        assert answered(bench, port, "unary", "10.1.2.3, 192.0.2.1") == (
            "NETWORK_DENIED",
            "192.0.2.1",
        )
        assert answered(bench, port, "unary", "192.0.2.1, 10.1.2.3, 10.9.0.1,10.9.0.2") == ("", "")
        assert answered(bench, port, "unary", "192.0.2.1", "10.1.2.3", "10.9.0.1") == ("", "")
        assert answered(bench, port, "unary", "10.9.0.1") == ("", ""), "a proxy that calls itself"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["", "unknown", "10.1.2.3:80", "10.1.2.3,", "10.1.2", '"x"', ","])
def test_a_proxy_that_tells_no_address_is_refused(kind: Kind, value: str) -> None:
    with behind(kind, INSIDE) as (bench, port):
        assert answered(bench, port, "unary", value) == ("NETWORK_DENIED", MALFORMED)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_elses_word_counts(kind: Kind) -> None:
    lists = NetworkLists(mesh=("10.0.0.0/8",), trusted_proxies=("10.9.0.1",))
    with behind(kind, lists) as (bench, port):
        assert answered(bench, port, "unary", "10.1.2.3") == ("NETWORK_DENIED", "127.0.0.1")
    with behind(kind, NetworkLists(mesh=("127.0.0.0/8",))) as (bench, port):
        assert answered(bench, port, "unary", "192.0.2.1") == ("", "")


addresses = st.ip_addresses().map(str)


@given(st.lists(addresses, min_size=1, max_size=MAX_HOPS), st.data())
def test_the_caller_is_the_right_most_hop_that_is_no_proxy(
    hops: list[str], data: st.DataObject
) -> None:
    proxies = AddressSet(data.draw(st.lists(st.sampled_from(hops), unique=True)))
    cut = data.draw(st.integers(0, len(hops) - 1))
    parts = [part for part in (hops[:cut], hops[cut:]) if part]
    pairs = [("x-forwarded-for", ", ".join(part)) for part in parts]
    strangers = [hop for hop in hops if hop not in proxies]
    expected = strangers[-1] if strangers else hops[0]
    found = forwarded("127.0.0.1", pairs, proxies)
    assert found in AddressSet([expected])


def test_more_hops_than_are_looked_at_are_refused() -> None:
    proxies = AddressSet(["10.0.0.0/8"])
    pairs = [("x-forwarded-for", ",".join(["10.0.0.1"] * (MAX_HOPS + 1)))]
    assert forwarded("10.0.0.1", pairs, proxies) == MALFORMED
    assert forwarded("10.0.0.1", [("x-forwarded-for", b"10.0.0.1")], proxies) == MALFORMED


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.7:51234", "10.0.0.7"),
        ("ipv6:%5B::1%5D:51234", "::1"),
        ("ipv6:[::ffff:10.0.0.7]:1", "10.0.0.7"),
        ("ipv6:%5Bfe80::1%25eth0%5D:1", "fe80::1"),
        ("unix:/run/a.sock", "unix"),
        ("unix:", "unix"),
        ("unix-abstract:a", "unix"),
        ("vsock:1:2", ""),
        ("", ""),
    ],
)
def test_the_address_in_a_peer(peer: str, address: str) -> None:
    assert address_of(peer) == address


class _Echo(grpc.GenericRpcHandler):
    def __init__(self, handler: grpc.RpcMethodHandler[object, object]) -> None:
        self._handler = handler

    def service(self, handler_call_details: object) -> grpc.RpcMethodHandler[object, object]:
        return self._handler


@pytest.mark.parametrize(
    ("lists", "reason"),
    [
        (NetworkLists(mesh=("unix",)), ""),
        (NetworkLists(mesh=("0.0.0.0/0", "::/0")), "unix"),
        (NetworkLists(mesh=("10.0.0.0/8",), trusted_proxies=("unix",)), ""),
    ],
)
def test_a_unix_socket_is_allowed_where_it_is_spelled_out(
    tmp_path: Path, lists: NetworkLists, reason: str
) -> None:
    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): [ROLE]})
        spec = next(method for method in DEMO_SERVICE.methods if method.name == "Echo")
        handler = sync.handler(
            bench.guard(networks=Networks(lists)), spec, servicer("sync", Script()).echo
        )
        server = grpc.server(futures.ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers((_Echo(handler),))
        address = f"unix:{tmp_path}/server.sock"
        server.add_secure_port(address, server_credentials(bench.source("server")))
        server.start()
        channel = grpc.secure_channel(
            address,
            channel_credentials(bench.source("caller")),
            options=[("grpc.default_authority", bench.server_name)],
        )
        call = channel.unary_unary(
            path("unary"), pb.EchoRequest.SerializeToString, pb.EchoResponse.FromString
        )
        try:
            metadata = (("x-forwarded-for", "10.1.2.3"),)
            if not reason:
                assert call(pb.EchoRequest(text="5"), metadata=metadata, timeout=20).text == "5"
            else:
                with pytest.raises(grpc.RpcError, match="calls from this network are not allowed"):
                    call(pb.EchoRequest(text="5"), metadata=metadata, timeout=20)
        finally:
            channel.close()
            server.stop(0).wait()
