"""The wait for an exchanged token, on a thread and on a loop: part of the time that a call has."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from demo.v1 import relay_mesh
from meshpact.clients import CallError
from meshpact.clients.core import preparation
from meshpact.clients.exchangewait import Exchanging, Outcome
from meshpact.clients.forwarding import Forwarding
from meshpact.interceptors.call import Call, Caller, CallInfo, EndUser, current_call

METHOD = relay_mesh.WARD_SERVICE_CONFIDE


class Slow:
    """An exchange whose token comes when the test says so."""

    def __init__(self) -> None:
        self.coming: Future[Outcome] = Future()

    def offers(self, issuer: str) -> bool:
        return True

    def exchanged(self, user: EndUser, token: str, audience: str) -> str | Future[Outcome]:
        return self.coming


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture(autouse=True)
def handling() -> Iterator[None]:
    user = EndUser(
        issuer="https://issuer.test.example",
        subject="ursula",
        audience=frozenset({"mesh"}),
        scopes=frozenset(),
        groups=frozenset(),
        expires=time.time() + 600,
    )
    caller = Caller("spiffe://demo.test/caller", user)
    before = current_call.set(Call(CallInfo("/a.B/C", METHOD.policy, caller, math.inf), "token"))
    yield
    current_call.reset(before)


def waiting(slow: Slow, timeout: float) -> Exchanging:
    with pytest.raises(Exchanging) as caught:
        preparation(METHOD, Forwarding(exchange=slow))(timeout, (("x", "y"),), "")
    return caught.value


def test_what_the_wait_took_is_taken_from_the_call(slow: Slow) -> None:
    call = waiting(slow, 60.0)
    threading.Timer(0.2, slow.coming.set_result, ["other"]).start()
    seconds, sent = call.wait()
    assert seconds <= 59.8
    assert sent == (("authorization", "Bearer other"), ("x", "y"))


async def test_what_the_wait_took_is_taken_from_the_call_on_a_loop_too(slow: Slow) -> None:
    call = waiting(slow, 60.0)
    asyncio.get_running_loop().call_later(0.2, slow.coming.set_result, "other")
    seconds, sent = await call.wait_async()
    assert seconds <= 59.8
    assert sent == (("authorization", "Bearer other"), ("x", "y"))


def test_a_call_that_has_no_time_left_is_not_sent(slow: Slow) -> None:
    with pytest.raises(CallError, match="not sent") as caught:
        waiting(slow, 0.05).wait()
    assert caught.value.reason == "BUDGET_SPENT"


async def test_a_call_that_has_no_time_left_is_not_sent_on_a_loop_either(slow: Slow) -> None:
    with pytest.raises(CallError, match="not sent") as caught:
        await waiting(slow, 0.05).wait_async()
    assert caught.value.reason == "BUDGET_SPENT"


async def test_who_is_cancelled_cancels_nobody_elses_exchange(slow: Slow) -> None:
    impatient = asyncio.ensure_future(waiting(slow, 60.0).wait_async())
    patient = asyncio.ensure_future(waiting(slow, 60.0).wait_async())
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    slow.coming.set_result("other")
    assert (await patient)[1][0] == ("authorization", "Bearer other")


def test_bad_metadata_is_refused_without_a_wait(slow: Slow) -> None:
    with pytest.raises(ValueError, match="no metadata key"):
        preparation(METHOD, Forwarding(exchange=slow))(60.0, (("UPPER", "y"),), "")
