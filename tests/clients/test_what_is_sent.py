"""Timeouts and metadata as they are made ready, without a wire: inherited deadlines and traces."""

from __future__ import annotations

import math
import time
from collections.abc import Generator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, use_span

from demo.v1 import demo_mesh
from meshpact.clients import CallError, retries
from meshpact.clients.core import preparation
from meshpact.clients.outgoing import Outgoing
from meshpact.interceptors.call import (
    Call,
    Caller,
    CallInfo,
    current_call,
)

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"

prepare = preparation(demo_mesh.ECHO)


def handling(left: float, traceparent: str = "", tracestate: str = "") -> Call:
    """A call that runs, with so many seconds left."""
    return Call(
        CallInfo(
            method=demo_mesh.ECHO.path,
            policy=demo_mesh.ECHO.policy,
            caller=Caller("spiffe://demo.test/alice"),
            deadline=time.monotonic() + left,
            place=traceparent,
            tracestate=tracestate,
        )
    )


@pytest.fixture
def inside(request: pytest.FixtureRequest) -> Generator[None]:
    token = current_call.set(handling(*request.param))
    yield
    current_call.reset(token)


@pytest.mark.parametrize("inside", [(math.inf,)], indirect=True)
@pytest.mark.usefixtures("inside")
def test_a_call_without_end_leaves_the_timeout_alone() -> None:
    assert prepare(None, (), "") == (20.0, ())
    assert prepare(7.0, (), "") == (7.0, ())


@pytest.mark.parametrize("inside", [(60.0,)], indirect=True)
@pytest.mark.usefixtures("inside")
def test_what_the_current_call_has_left_cuts_the_timeout() -> None:
    assert prepare(1.0, (), "")[0] == 1.0
    assert 0 < prepare(600.0, (), "")[0] <= 60.0


@pytest.mark.parametrize("inside", [(-1.0,)], indirect=True)
@pytest.mark.usefixtures("inside")
def test_nothing_is_sent_when_the_current_call_has_nothing_left() -> None:
    with pytest.raises(CallError) as caught:
        prepare(None, (), "")
    assert (caught.value.code.name, caught.value.reason) == ("DEADLINE_EXCEEDED", "BUDGET_SPENT")
    assert "not sent" in str(caught.value)


@pytest.mark.parametrize("inside", [(9, TRACEPARENT, "a=1")], indirect=True)
@pytest.mark.usefixtures("inside")
def test_the_trace_of_the_current_call_is_sent() -> None:
    assert prepare(None, (), "")[1] == (("traceparent", TRACEPARENT), ("tracestate", "a=1"))


@pytest.mark.parametrize("inside", [(9, TRACEPARENT[:-1] + "0")], indirect=True)
@pytest.mark.usefixtures("inside")
def test_an_unsampled_trace_is_sent_as_such_and_yields_to_the_callers_own() -> None:
    assert prepare(None, (), "")[1] == (("traceparent", TRACEPARENT[:-1] + "0"),)
    own = (("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"),)
    assert prepare(None, own, "")[1] == own


def test_outside_a_call_the_current_span_is_sent() -> None:
    assert prepare(None, (), "")[1] == ()
    with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
        context = span.get_span_context()
        expected = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        assert context.trace_flags.sampled
        assert prepare(None, (), "")[1] == (("traceparent", expected),)
    state = TraceState([("a", "1"), ("b", "2")])
    remote = SpanContext(int(TRACE_ID, 16), int(SPAN_ID, 16), True, TraceFlags(1), state)
    with use_span(NonRecordingSpan(remote)):
        assert prepare(None, (), "")[1] == (("traceparent", TRACEPARENT), ("tracestate", "a=1,b=2"))


def test_the_service_config_tries_idempotent_methods_again_and_no_others() -> None:
    ((key, config),) = retries.channel_options([demo_mesh.DEMO_SERVICE])
    assert key == "grpc.service_config"
    assert '"method":"Echo"}],"retryPolicy":{"maxAttempts":3' in config
    assert '"retryableStatusCodes":["UNAVAILABLE"]' in config
    assert '"method":"Sum"' not in config
    assert retries.channel_options([]) == []


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ((("Upper", "x"),), "no metadata key"),
        ((("a b", "x"),), "no metadata key"),
        ((("x", "a\nb"),), "not printable ASCII"),
        ((("x", "\u00e9"),), "not printable ASCII"),
        ((("x", b"raw"),), "'x-bin'"),
        ((("x-bin", "text"),), "carry bytes"),
    ],
)
def test_metadata_that_cannot_travel_is_refused_with_words(
    metadata: tuple[tuple[str, str | bytes], ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        prepare(None, metadata, "")
    assert "a\nb" not in str(caught.value)


@pytest.mark.parametrize("token", ["s3cr3t\n", "s3cr\u00e9t"])
def test_a_token_that_cannot_travel_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ValueError, match="RFC 6750") as caught:
        prepare(None, (), token)
    assert "s3cr" not in str(caught.value)


def test_outgoing_metadata_is_metadata_of_grpc_to_whoever_changes_it() -> None:
    sent = Outgoing(("a", "1"), ("b", b"2"), ("a", "3"))
    assert (len(sent), list(sent)) == (3, [("a", "1"), ("b", b"2"), ("a", "3")])
    assert sent["a"] == "1"
    sent.add("c", "4")
    assert sent.get_all("a") == ["1", "3"]
    assert (len(sent), sorted(key for key, _ in sent)) == (4, ["a", "a", "b", "c"])
    assert not hasattr(sent, "no_such_thing")
    assert not Outgoing()
