"""Who gets no further than the TLS handshake: no certificate, a wrong one, an old protocol."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable, Generator

import pytest

from meshpact.testing.authority import Authority
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawwire import ClientIdentity, RawConnection
from wire.hygiene import KINDS, target
from wire.target import CALLER, Target


@pytest.fixture(scope="module", params=KINDS)
def aim(request: pytest.FixtureRequest) -> Generator[Target]:
    kind: Kind = request.param
    with target(kind, strict=False) as running:
        yield running


def nothing(bench: Workbench) -> ClientIdentity:
    return ClientIdentity(b"", b"", bench.authority.roots_pem)


def expired(bench: Workbench) -> ClientIdentity:
    leaf = bench.authority.issue(CALLER, lifetime=-30, age=3600)
    return ClientIdentity(leaf.chain_pem, leaf.key_pem, bench.authority.roots_pem)


def not_yet_valid(bench: Workbench) -> ClientIdentity:
    leaf = bench.authority.issue(CALLER, lifetime=7200, age=-3600)
    return ClientIdentity(leaf.chain_pem, leaf.key_pem, bench.authority.roots_pem)


def of_another_authority(bench: Workbench) -> ClientIdentity:
    leaf = Authority(bench.trust_domain).issue(CALLER)
    return ClientIdentity(leaf.chain_pem, leaf.key_pem, bench.authority.roots_pem)


def of_an_unknown_trust_domain(bench: Workbench) -> ClientIdentity:
    leaf = Authority("elsewhere.example").issue(CALLER)
    return ClientIdentity(leaf.chain_pem, leaf.key_pem, bench.authority.roots_pem)


@pytest.mark.parametrize(
    "identity", [nothing, expired, not_yet_valid, of_another_authority, of_an_unknown_trust_domain]
)
def test_a_caller_without_a_valid_certificate_gets_no_connection(
    aim: Target, identity: Callable[[Workbench], ClientIdentity]
) -> None:
    with pytest.raises(OSError):
        RawConnection(("127.0.0.1", aim.port), identity(aim.bench), aim.bench.server_name)
    assert not aim.fault_after()


def shake_hands(aim: Target, change: Callable[[ssl.SSLContext], object]) -> str:
    """The TLS version agreed on with a caller whose context was changed; raises OSError."""
    context = aim.bench.client(CALLER).context()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        change(context)
    with (
        socket.create_connection(("127.0.0.1", aim.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=aim.bench.server_name) as wire,
    ):
        return wire.version() or ""


def old(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def without_aead(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")


def only_1_2(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("change", [old, without_aead])
def test_protocols_below_tls_1_2_and_suites_without_aead_are_refused(
    aim: Target, change: Callable[[ssl.SSLContext], None]
) -> None:
    with pytest.raises(OSError):
        shake_hands(aim, change)
    assert not aim.fault_after()


def test_tls_1_2_with_aead_and_tls_1_3_are_spoken(aim: Target) -> None:
    assert shake_hands(aim, only_1_2) == "TLSv1.2"
    assert shake_hands(aim, lambda _: None) == "TLSv1.3"
