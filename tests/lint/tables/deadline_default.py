"""MP121: the default deadline suits the shape of the method."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

UP, DOWN = ("stream ", ""), ("", "stream ")


def _default(value: str, streams: tuple[str, str] = ("", ""), mark: str = "@@") -> str:
    policy = f"deadline: {{ {mark}default: {{ {value} }} max: {{ seconds: 86400 }} }}"
    return method("Get", policy, streams=streams)


CASES: Final = (
    Case("a second is right for a unary method", _default("seconds: 1", mark="")),
    Case("10 ms are the least for one", _default("nanos: 10000000", mark="")),
    Case(
        "9 ms are too short for one",
        _default("nanos: 9000000"),
        ("a default deadline of 9 ms is short for a method that is unary",),
    ),
    Case(
        "seconds that were written as nanoseconds are found",
        _default("nanos: 5"),
        ("a default deadline of 5e-06 ms is short for a method that is unary",),
    ),
    Case("a minute is the most for one", _default("seconds: 60", mark="")),
    Case(
        "61 s are too long for one",
        _default("seconds: 61"),
        ("a default deadline of 61 s is long for a method that is unary",),
    ),
    Case("an hour is right for a stream", _default("seconds: 3600", DOWN, mark="")),
    Case(
        "half a second is too short for a stream",
        _default("nanos: 500000000", UP),
        ("a default deadline of 500 ms is short for a method that streams",),
    ),
    Case(
        "more than a day is too long for a stream",
        _default("seconds: 86401", DOWN).replace("max: { seconds: 86400 }", ""),
        ("a default deadline of 86401 s is long for a method that streams",),
    ),
    Case(
        "what is inherited is found once, at the service",
        method(
            "Get",
            service='access: { roles: "a" } deadline: { @@default: { seconds: 120 } '
            "max: { seconds: 200 } } audit: { level: AUDIT_LEVEL_ALL }",
        ),
        ("a default deadline of 120 s is long for a method that is unary",),
    ),
    Case(
        "what suits one inheritor and not the other is found at the other",
        """
        service ShopService {
          option (meshpact.policy.v1.service) = {
            access: { roles: "a" }
            deadline: { default: { seconds: 120 } max: { seconds: 200 } }
            audit: { level: AUDIT_LEVEL_ALL }
          };
          @@rpc GetOne(M) returns (M);
          rpc WatchAll(M) returns (stream M);
        }
        message M {}
        """,
        ("a default deadline of 120 s is long for a method that is unary",),
    ),
)
