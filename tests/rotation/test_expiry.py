"""A certificate that expires on a living connection, and streams that outlive it."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc
import pytest

from meshpact.clients import CallError
from meshpact.servers.options import Limits
from meshpact.testing.hosting import Kind
from meshpact.testing.sources import PushedSource
from rotation.callers import Caller, Talk
from rotation.domain import until
from rotation.load import KINDS
from rotation.stage import Stage, refusal

LIFETIMES = (3.0, 6.0, 12.0, 24.0)
"""Seconds: the next is for a machine that is too busy to call before the one before is over."""

CALLS: tuple[Callable[[Caller], object], ...] = (
    lambda caller: caller.echo(),
    lambda caller: caller.count(),
    lambda caller: caller.sum(),
    lambda caller: caller.talk().say("one"),
)


def talking_under_a_short_certificate(stage: Stage) -> tuple[Caller, Talk]:
    """A channel on which every shape was called and a stream goes on, before its certificate
    expires."""
    for lifetime in LIFETIMES:
        stage.domain.lifetime = lifetime
        stage.source = PushedSource(stage.identity("alice"))
        ends = stage.source.current().svid.not_after
        caller = stage.caller()
        try:
            for call in CALLS[:3]:
                call(caller)
            talk = caller.talk()
            talk.say("one")
        except CallError:
            if time.time() < ends or lifetime == LIFETIMES[-1]:
                raise
        else:
            return caller, talk
    raise AssertionError


@pytest.mark.parametrize("server", KINDS)
def test_new_calls_under_an_expired_certificate_are_refused_and_streams_go_on(
    stage: Stage, server: Kind
) -> None:
    stage.server_kind = server
    stage.serve()
    caller, talk = talking_under_a_short_certificate(stage)
    until(lambda: refusal(caller) == "SVID_EXPIRED", "the certificate expires")
    for call in CALLS:
        with pytest.raises(CallError, match="this workload's own certificate") as caught:
            call(caller)
        assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
        assert (caught.value.reason, caught.value.domain) == ("SVID_EXPIRED", "meshpact")
    assert talk.say("two") == "two"
    assert talk.end() == []


@pytest.mark.parametrize("server", KINDS)
def test_a_stream_ends_with_its_connection_at_the_age_that_servers_allow(
    stage: Stage, server: Kind
) -> None:
    stage.server_kind = server
    stage.limits = Limits(connection_age=0.3, connection_age_grace=0.2)
    stage.serve()
    caller = stage.caller()
    talk = caller.talk()
    with pytest.raises(CallError) as caught:
        while True:
            talk.say("one")
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caller.echo() == "spiffe://test.example/alice"
