"""Whatever ends a handler becomes one google.rpc.Status; what callers may not see is masked."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import grpc
import pytest
from google.rpc import error_details_pb2

from demo.v1 import demo_pb2 as pb
from demo.v1.demo_mesh import BadWord, OutOfBreath
from guard.conftest import Stage
from guard.scripted import KEY, message, path
from guard.situations import ALL_SHAPES
from meshpact.interceptors.errors import FieldViolation, StatusError
from meshpact.testing.rawanswer import Answer

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
SECRET = "the password is swordfish"


def ending(stage: Stage, shape: str, raise_: Callable[[], object]) -> Answer:
    stage.script.act = lambda _key: raise_()
    with stage.connect() as wire:
        return wire.call(path(shape), message(shape, KEY))


def throw(error: BaseException) -> Callable[[], object]:
    def raise_() -> object:
        raise error

    return raise_


@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_every_status_code_arrives_with_its_error_info(
    stage: Stage, shape: str, code: grpc.StatusCode
) -> None:
    error = StatusError(
        code, f"Sorry: {code.name} é %", reason="WHY_NOT", metadata={"sku": "85123A"}
    )
    answer = ending(stage, shape, throw(error))
    assert answer.code is code
    assert answer.message == f"Sorry: {code.name} é %"
    assert answer.status is not None
    assert (answer.status.code, answer.status.message) == (code.value[0], answer.message)
    info = answer.error_info
    assert info is not None
    assert (info.reason, info.domain) == ("WHY_NOT", "demo.v1.DemoService")
    assert dict(info.metadata) == {"sku": "85123A"}


@pytest.mark.parametrize("shape", ["unary", "client", "bidi"])
def test_a_declared_error_of_the_contract_arrives_as_the_contract_says(
    stage: Stage, shape: str
) -> None:
    answer = ending(stage, shape, throw(BadWord(word="grr", left=3)))
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    assert answer.message == "The word grr is not said here; 3 words are left."
    info = answer.error_info
    assert info is not None
    assert (info.reason, info.domain) == ("BAD_WORD", "demo.example")
    assert dict(info.metadata) == {"word": "grr", "left": "3"}


@pytest.mark.parametrize(
    ("shape", "error"),
    [("client", OutOfBreath()), ("bidi", OutOfBreath()), ("server", BadWord(word=SECRET, left=0))],
)
def test_an_error_that_the_policy_does_not_list_is_masked(
    stage: Stage, shape: str, error: StatusError, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ending(stage, shape, throw(error))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "MASKED")
    assert SECRET not in str(answer.status)
    assert error.reason not in answer.message
    assert error.reason in caplog.text


@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(SECRET),
        KeyError(SECRET),
        TimeoutError(SECRET),
        AssertionError(SECRET),
        RecursionError(SECRET),
        grpc.RpcError(SECRET),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, SECRET),
        ExceptionGroup(SECRET, [ValueError(SECRET)]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_unexpected_exception_is_masked_and_logged_under_a_correlation_id(
    stage: Stage, shape: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = ending(stage, shape, throw(error))
    assert (answer.code, answer.reason, answer.domain) == (
        grpc.StatusCode.INTERNAL,
        "MASKED",
        "meshpact",
    )
    everything = f"{answer.message} {answer.status} {answer.headers} {answer.trailers}"
    assert SECRET not in everything
    assert type(error).__name__ not in everything
    assert ".py" not in everything
    info = answer.error_info
    assert info is not None
    correlation = info.metadata["correlation_id"]
    assert re.fullmatch(r"[0-9a-f]{16}", correlation)
    assert correlation in answer.message
    assert correlation in caplog.text
    assert SECRET in caplog.text


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_stop_iteration_of_a_handler_is_masked_and_not_taken_for_an_end(
    stage: Stage, shape: str
) -> None:
    answer = ending(stage, shape, throw(StopIteration()))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "MASKED")


def test_details_travel_beside_error_info(stage: Stage) -> None:
    error = StatusError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Later.",
        fields=[FieldViolation("lines[2].sku", "is unknown", "SKU_UNKNOWN")],
        quota=("caller", "10 a day"),
        retry_after=1.5,
    )
    answer = ending(stage, "unary", throw(error))
    assert answer.status is not None
    info, bad, quota, retry = answer.status.details
    assert info.type_url.endswith("google.rpc.ErrorInfo")
    request = error_details_pb2.BadRequest.FromString(bad.value)
    assert [(f.field, f.description, f.reason) for f in request.field_violations] == [
        ("lines[2].sku", "is unknown", "SKU_UNKNOWN")
    ]
    failure = error_details_pb2.QuotaFailure.FromString(quota.value)
    assert failure.violations[0].description == "10 a day"
    delay = error_details_pb2.RetryInfo.FromString(retry.value).retry_delay
    assert (delay.seconds, delay.nanos) == (1, 500_000_000)


def test_an_endless_message_is_cut_so_that_trailers_stay_small(stage: Stage) -> None:
    error = StatusError(
        grpc.StatusCode.ABORTED, "x" * 100_000, metadata={"big": "y" * 100_000}, reason="TOO_MUCH"
    )
    answer = ending(stage, "unary", throw(error))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ABORTED, "TOO_MUCH")
    assert sum(len(key) + len(value) + 32 for key, value in answer.trailers) < 8192


@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize("response", [None, "text", pb.HelloResponse()], ids=repr)
@pytest.mark.parametrize("timeout", [(), (("grpc-timeout", "1S"),)], ids=["default", "own"])
def test_a_response_that_is_not_what_the_contract_says_is_masked(
    stage: Stage, shape: str, response: object, timeout: tuple[tuple[str, str], ...]
) -> None:
    stage.script.respond = lambda _right: response
    with stage.connect() as wire:
        answer = wire.call(path(shape), message(shape, KEY), timeout)
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "MASKED")
    assert answer.messages == ()


@pytest.mark.parametrize("shape", ["unary", "bidi"])
def test_a_response_over_the_size_does_not_pass(stage: Stage, shape: str) -> None:
    stage.script.respond = lambda right: type(right)(text="x" * (4 * 1024 * 1024))
    with stage.connect() as wire:
        answer = wire.call(path(shape), message(shape, KEY))
    if shape == "unary" or stage.kind == "sync":
        assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "MASKED")
    else:  # the transport is faster
        assert answer.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert not answer.messages
