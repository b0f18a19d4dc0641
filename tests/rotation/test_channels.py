"""Real channels over real mTLS while the identity of their workload changes."""

from __future__ import annotations

import gc
import threading
import weakref

import grpc
import psutil
import pytest

from meshpact.certs.identity import Identity
from meshpact.clients import CallError, Rotation
from meshpact.testing.authority import Authority
from meshpact.testing.hosting import Kind
from rotation.domain import Domain, until
from rotation.load import KINDS
from rotation.stage import Stage, refusal, settled


def test_new_calls_go_out_with_the_new_certificate(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    assert caller.echo() == "spiffe://test.example/alice"
    stage.push(caller, "bob")
    assert caller.echo() == "spiffe://test.example/bob"
    until(settled(caller), "the old connection is closed")


def test_a_stream_goes_on_over_the_connection_that_it_began_on(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    talk = caller.talk()
    assert talk.say("one") == "one"
    for name in ("bob", "alice", "bob"):
        stage.push(caller, name)
        assert caller.echo() == f"spiffe://test.example/{name}"
        assert talk.say(name) == name
    until(lambda: caller.channel.connections == 2, "those between are closed")
    assert talk.end() == []
    until(settled(caller), "the old connection is closed")


def test_a_stream_that_outlives_its_certificate_by_too_much_is_ended_with_words(
    stage: Stage,
) -> None:
    stage.serve()
    caller = stage.caller(Rotation(drain=0.05))
    talk = caller.talk()
    talk.say("one")
    stage.push(caller, "bob")
    until(settled(caller), "the old connection is closed")
    with pytest.raises(CallError, match="This workload has a new certificate") as caught:
        talk.say("two")
    assert caught.value.code is grpc.StatusCode.CANCELLED
    assert caller.echo() == "spiffe://test.example/bob"


def test_a_server_that_is_away_is_found_again_with_the_new_certificate(stage: Stage) -> None:
    with stage.serving():
        caller = stage.caller()
        assert caller.echo() == "spiffe://test.example/alice"
    with pytest.raises(CallError):
        caller.echo()
    stage.push(caller, "bob")
    with stage.serving():
        caller.wait_ready(30)
        assert caller.echo() == "spiffe://test.example/bob"
    until(settled(caller), "the old connection is closed")


def test_a_channel_that_was_never_used_just_takes_the_new_certificate(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    stage.push(caller, "bob")
    assert caller.echo() == "spiffe://test.example/bob"


def test_waiting_to_be_ready_goes_on_with_the_identity_that_works(stage: Stage) -> None:
    stage.serve()
    theirs = Domain(Authority("other.example")).source("alice").current()
    posing = Identity(theirs.svid, stage.source.current().bundles)
    stage.source.push(posing)
    caller = stage.caller()
    with pytest.raises(CallError):
        caller.echo()
    waiting = threading.Thread(target=caller.wait_ready, args=(60,))
    waiting.start()
    stage.push(caller, "bob")
    waiting.join(60)
    assert not waiting.is_alive()
    assert caller.echo() == "spiffe://test.example/bob"


def test_many_changes_leave_nothing_behind(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    process = psutil.Process()

    def change(times: int) -> None:
        for number in range(times):
            stage.push(caller, ("alice", "bob")[number % 2])
            caller.echo()
        until(settled(caller), "old connections are closed")
        gc.collect()

    change(3)
    files, threads = process.num_fds(), threading.active_count()
    change(25)
    until(lambda: process.num_fds() <= files, f"no more than {files} open files")
    until(lambda: threading.active_count() <= threads, f"no more than {threads} threads")


def test_a_channel_is_closed_in_the_middle_of_a_change(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    talk = caller.talk()
    talk.say("one")
    stage.push(caller, "bob")
    stage.source.push(stage.identity("alice"))
    caller.close()
    with pytest.raises(CallError, match="is closed"):
        talk.say("two")
    with pytest.raises(CallError, match="is closed"):
        caller.echo()
    stage.source.push(stage.identity("bob"))
    until(lambda: not _threads(), "its threads have ended")


def _threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "meshpact-rotation"]


def test_a_channel_that_is_dropped_without_being_closed_is_let_go(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller(closed=False)
    caller.echo()
    channel = weakref.ref(caller.channel)
    del caller

    def gone() -> bool:
        gc.collect()
        return channel() is None

    until(gone, "nobody holds the channel")
    stage.source.push(stage.identity("bob"))


@pytest.mark.parametrize("server", KINDS)
def test_servers_show_what_is_new_and_keep_the_connections_that_they_have(
    stage: Stage, server: Kind
) -> None:
    stage.server_kind = server
    stage.serve()
    alice = "spiffe://test.example/alice"
    first = stage.caller()
    talk = first.talk()
    talk.say("one")
    stage.domain.prepare()
    stage.domain.activate()
    old = stage.source.current().svid
    stage.source.push(Identity(old, stage.server.current().bundles))
    assert stage.caller().echo() == alice
    assert talk.say("two") == "two"
    assert first.echo() == alice
    stage.domain.retire()
    with pytest.raises(CallError, match="it is the server that refuses ours"):
        stage.caller().echo()
    until(lambda: refusal(first) == "IDENTITY_INVALID", "the old CA is trusted no more")
    assert talk.say("three") == "three"
    assert talk.end() == []
