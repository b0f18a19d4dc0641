"""MP122: there is a maximum deadline, and it suits the shape of the method."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

DOWN = ("", "stream ")


def _deadline(inside: str, streams: tuple[str, str] = ("", ""), mark: str = "") -> str:
    policy = f"{mark}deadline: {{ default: {{ seconds: 1 }} {inside} }}"
    return method("Get", policy, streams=streams)


CASES: Final = (
    Case("10 s are right for a unary method", _deadline("max: { seconds: 10 }")),
    Case(
        "a unary method without one is found",
        _deadline("", mark="@@"),
        ("a unary method has no maximum deadline",),
    ),
    Case("a stream may have none", _deadline("", DOWN)),
    Case("ten minutes are the most for a unary method", _deadline("max: { seconds: 600 }")),
    Case(
        "more is too long for one",
        _deadline("@@max: { seconds: 3600 }"),
        ("a maximum deadline of 1 h is long for a method that is unary",),
    ),
    Case("a day is the most for a stream", _deadline("max: { seconds: 86400 }", DOWN)),
    Case(
        "more is too long for a stream",
        _deadline("@@max: { seconds: 90000 }", DOWN),
        ("a maximum deadline of 25 h is long for a method that streams",),
    ),
)
