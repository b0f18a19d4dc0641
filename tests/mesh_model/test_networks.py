"""Network allow-lists: a call must be inside every list that is given for it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
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
    assert NETWORKS.allows(service, method, ip) is allowed
    assert NETWORKS.allows(service, method, ip) is allowed, "and from memory too"


@pytest.mark.parametrize(
    "ip", ["", "unix:/x", "10.0.0", "10.0.0.1:80", "[::1]", "localhost", "10.0.0.01", "10.0.0.1 "]
)
def test_a_text_that_is_no_address_is_outside_every_list(ip: str) -> None:
    everywhere = Networks(NetworkLists(mesh=("0.0.0.0/0", "::/0")))
    assert not everywhere.allows("a", METHOD, ip)


def test_without_lists_there_is_nothing_to_ask() -> None:
    free = Networks(NetworkLists(services={"stock": ("10.0.0.0/8",)}))
    assert not free.restricts("other", METHOD)
    assert free.allows("other", METHOD, "not an address")
    assert free.restricts("stock", METHOD)
    only = Networks(NetworkLists(methods={"acme.v1.Stock/*": ()}))
    assert only.restricts("any", METHOD)
    assert not only.restricts("any", "/acme.v1.StockRoom/Get")
    assert Networks(NetworkLists(mesh=())).restricts("any", METHOD)


def test_only_listed_proxies_are_trusted() -> None:
    assert NETWORKS.trusts_proxy("10.9.0.1")
    assert not NETWORKS.trusts_proxy("10.9.0.2")
    assert not NETWORKS.trusts_proxy("nobody")


@given(
    st.lists(st.ip_addresses().map(str), max_size=4),
    st.ip_addresses(),
)
def test_an_address_set_holds_what_ipaddress_says(networks: list[str], address: object) -> None:
    expected = any(str(address) == network for network in networks)
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is None:
        assert (str(address) in AddressSet(networks)) is expected


def test_what_is_remembered_is_bounded() -> None:
    held = AddressSet(["10.0.0.0/8"])
    for number in range(CACHED_ADDRESSES * 2 + 10):
        assert str(ipaddress.IPv4Address(0x0A000000 + number)) in held
    assert len(held._answers) <= CACHED_ADDRESSES  # pyright: ignore[reportPrivateUsage]
