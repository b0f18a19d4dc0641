"""A certificate that expires on a living connection, and streams that outlive it."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from meshpact.clients import CallError
from meshpact.servers.options import Limits
from meshpact.testing.hosting import Kind
from meshpact.testing.sources import PushedSource
from rotation.callers import Caller
from rotation.domain import until
from rotation.load import KINDS
from rotation.stage import Stage, refusal

SHORT = 3.0

CALLS: tuple[Callable[[Caller], object], ...] = (
    lambda caller: caller.echo(),
    lambda caller: caller.count(),
    lambda caller: caller.sum(),
    lambda caller: caller.talk().say("one"),
)


@pytest.mark.parametrize("server", KINDS)
def test_new_calls_under_an_expired_certificate_are_refused_and_streams_go_on(
    stage: Stage, server: Kind
) -> None:
    stage.server_kind = server
    stage.serve()
    stage.domain.lifetime = SHORT
    stage.source = PushedSource(stage.identity("alice"))
    caller = stage.caller()
    for call in CALLS[:3]:
        call(caller)
    talk = caller.talk()
    talk.say("one")
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
