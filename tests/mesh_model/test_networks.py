"""Network allow-lists: a call must be inside every list that is given for it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshpact.mesh.model import NetworkLists
from meshpact.mesh.networks import CACHED_ADDRESSES, AddressSet, Networks

METHOD = "/acme.v1.Stock/Get"

NETWORKS = Networks(
    NetworkLists(
        mesh=("10.0.0.0/8", "fd00::/8"),
        services={"stock": ("10.1.0.0/16", "fd00:1::/32"), "closed": ()},
        methods={"acme.v1.Stock/*": ("10.1.2.0/24",), "acme.v1.Stock/Get": ("10.1.2.3",)},
        trusted_proxies=("10.9.0.1",),
    )
)


@pytest.mark.parametrize(
    ("service", "method", "ip", "allowed"),
    [
        ("other", "/acme.v1.Other/Get", "10.255.0.1", True),
        ("other", "/acme.v1.Other/Get", "fd12::1", True),
        ("other", "/acme.v1.Other/Get", "11.0.0.1", False),
        ("other", "/acme.v1.Other/Get", "::1", False),
        ("other", "/acme.v1.Other/Get", "::ffff:10.0.0.1", True),
        ("other", "/acme.v1.Other/Get", "::ffff:11.0.0.1", False),
        ("other", "/acme.v1.Other/Get", "fd00::1%eth0", True),
        ("stock", "/acme.v1.Other/Get", "10.1.9.9", True),
        ("stock", "/acme.v1.Other/Get", "10.2.0.1", False),
        ("stock", "/acme.v1.Stock/List", "10.1.2.9", True),
        ("stock", "/acme.v1.Stock/List", "10.1.3.9", False),
        ("stock", "/acme.v1.Stock/List", "fd00:1::1", False),
        ("stock", METHOD, "10.1.2.3", True),
        ("stock", METHOD, "10.1.2.4", False),
        ("closed", "/acme.v1.Other/Get", "10.0.0.1", False),
        ("stock", "acme.v1.Stock/Get", "10.1.2.3", True),
    ],
)
def test_every_list_given_must_hold_the_address(
    service: str, method: str, ip: str, allowed: bool
) -> None:
    lists = NETWORKS.lists(service, method)
    assert all(ip in each for each in lists) is allowed
    assert all(ip in each for each in lists) is allowed, "and from memory too"


@pytest.mark.parametrize(
    "ip", ["", "unix:/x", "10.0.0", "10.0.0.1:80", "[::1]", "localhost", "10.0.0.01", "10.0.0.1 "]
)
def test_a_text_that_is_no_address_is_outside_every_list(ip: str) -> None:
    everywhere = Networks(NetworkLists(mesh=("0.0.0.0/0", "::/0")))
    assert not any(ip in each for each in everywhere.lists("a", METHOD))


def test_each_list_is_known_by_its_place_in_the_file() -> None:
    places = [place for place, _ in NETWORKS.placed("stock", METHOD)]
    assert places == [
        ("networks", "mesh"),
        ("networks", "services", "stock"),
        ("networks", "methods", "acme.v1.Stock/*"),
        ("networks", "methods", "acme.v1.Stock/Get"),
    ]


def test_without_lists_there_is_nothing_to_ask() -> None:
    free = Networks(NetworkLists(services={"stock": ("10.0.0.0/8",)}))
    assert not free.lists("other", METHOD)
    assert free.lists("stock", METHOD)
    only = Networks(NetworkLists(methods={"acme.v1.Stock/*": ()}))
    assert only.lists("any", METHOD)
    assert not only.lists("any", "/acme.v1.StockRoom/Get")
    assert Networks(NetworkLists(mesh=())).lists("any", METHOD)


def test_only_listed_proxies_are_trusted() -> None:
    proxies = NETWORKS.proxies
    assert proxies is not None
    assert "10.9.0.1" in proxies
    assert "10.9.0.2" not in proxies
    assert "nobody" not in proxies
    assert Networks(NetworkLists()).proxies is None


def test_unix_sockets_are_in_a_list_that_says_so() -> None:
    assert "unix" in AddressSet(["10.0.0.0/8", "unix"])
    assert "unix" not in AddressSet(["0.0.0.0/0", "::/0"])
    assert "10.0.0.1" not in AddressSet(["unix"])


def test_a_network_of_mapped_addresses_holds_the_addresses_that_it_maps() -> None:
    held = AddressSet(["::ffff:10.0.0.0/104"])
    assert "10.1.2.3" in held
    assert "::ffff:10.1.2.3" in held
    assert "11.0.0.1" not in held


def unmapped(text: str) -> str:
    return str(getattr(ipaddress.ip_address(text), "ipv4_mapped", None) or text)


addresses = st.ip_addresses().map(str)


@given(st.lists(addresses, max_size=4), addresses)
@example(["::ffff:0:0"], "0.0.0.0")
def test_an_address_set_holds_the_addresses_that_it_lists(
    networks: list[str], address: str
) -> None:
    expected = unmapped(address) in map(unmapped, networks)
    assert (address in AddressSet(networks)) is expected


def test_what_is_remembered_is_bounded() -> None:
    held = AddressSet(["10.0.0.0/8"])
    for number in range(CACHED_ADDRESSES * 2 + 10):
        assert str(ipaddress.IPv4Address(0x0A000000 + number)) in held
    assert len(held._answers) <= CACHED_ADDRESSES  # pyright: ignore[reportPrivateUsage]
