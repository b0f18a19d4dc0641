"""MP153: a call that fails ends with a status."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method


def _found(name: str) -> tuple[str]:
    return (f"its response tells by {name} whether the call has failed",)


def _answers(written: str, name: str = "PlaceOrder", before: str = "") -> str:
    return method(name, response=written, before=before)


CASES: Final = (
    Case("a success is found", _answers("bool success = 1;", before="@@"), _found("success")),
    Case(
        "an error as a text is found",
        _answers("string error_message = 1;", before="@@"),
        _found("error_message"),
    ),
    Case(
        "an error as a number is found",
        _answers("int32 error_code = 1;", before="@@"),
        _found("error_code"),
    ),
    Case(
        "an error as an enum is found",
        method("PlaceOrder", response="Fault error_code = 1;", before="@@")
        + "enum Fault { FAULT_UNSPECIFIED = 0; }",
        _found("error_code"),
    ),
    Case("what came of each of many is right", _answers("repeated string error_messages = 1;")),
    Case("a message of errors is right", _answers("Item error = 1; message Item {}")),
    Case("a request may say anything", method("PlaceOrder", request="string error_message = 1;")),
    Case("what is verified may hold or not", _answers("bool success = 1;", "VerifyOrder")),
    Case("an answer that is no failure is right", _answers("bool available = 1;")),
    Case("a count of successes is none", _answers("int32 success = 1;")),
)
