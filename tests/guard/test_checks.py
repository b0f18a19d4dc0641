"""Every check of the guard refuses on every shape, on asyncio and on threads; and in its order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from guard.situations import ALL_SHAPES, FAULTS, KINDS, Fault, Situation, perform
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawanswer import Answer

# One fault for each stage of the order, the first of those that a stage has.
IN_ORDER = [next(f for f in FAULTS if f.stage == stage) for stage in range(FAULTS[-1].stage + 1)]
DETAILS = {
    "INVALID_REQUEST": "google.rpc.BadRequest",
    "OVERLOADED": "google.rpc.RetryInfo",
    "RATE_LIMITED": "google.rpc.QuotaFailure",
}


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


def refusal(answer: Answer) -> tuple[str, str, str]:
    code = answer.code.name if answer.code is not None else answer.ended.value
    return code, answer.reason, answer.domain


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_a_sound_call_passes(bench: Workbench, kind: Kind, shape: str) -> None:
    answer = perform(bench, kind, shape, Situation())
    assert refusal(answer) == ("OK", "", "")
    assert len(answer.messages) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.reason)
def test_each_check_refuses_with_its_code_and_reason(
    bench: Workbench, kind: Kind, shape: str, fault: Fault
) -> None:
    answer = perform(bench, kind, shape, fault.apply(Situation()))
    assert refusal(answer) == (fault.code, fault.reason, "meshpact")
    assert answer.messages == ()
    status = answer.status
    assert status is not None
    assert (status.code, status.message) == (answer.code and answer.code.value[0], answer.message)
    if fault.reason in DETAILS:
        assert any(d.type_url.endswith(DETAILS[fault.reason]) for d in status.details)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", IN_ORDER[:-1], ids=lambda fault: fault.reason)
def test_of_two_faults_at_once_the_earlier_check_answers(
    bench: Workbench, kind: Kind, first: Fault
) -> None:
    wrong: list[str] = []
    for second in IN_ORDER[first.stage + 1 :]:
        answer = perform(bench, kind, "unary", second.apply(first.apply(Situation())))
        if refusal(answer) != (first.code, first.reason, "meshpact"):
            wrong.append(f"{first.reason} and {second.reason}: {answer}")
    assert not wrong
