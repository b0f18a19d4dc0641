"""MP184: points in time are Timestamps, and say so."""

from __future__ import annotations

from typing import Final

from lint.cases import Case


def _field(written: str) -> str:
    return f"message Shop {{ {written} }}"


def _no_time(name: str) -> tuple[str]:
    return (f"{name} is a time and no google.protobuf.Timestamp",)


STAMP = "google.protobuf.Timestamp"

CASES: Final = (
    Case("a create_time is right", _field(f"{STAMP} create_time = 1;")),
    Case("several times are right", _field(f"repeated {STAMP} open_times = 1;")),
    Case(
        "a Timestamp that says at is found",
        _field(f"@@{STAMP} created_at = 1; @@{STAMP} last_used_at = 2; @@{STAMP} meet_at = 3;"),
        (
            "created_at is no time by its name",
            "last_used_at is no time by its name",
            "meet_at is no time by its name",
        ),
    ),
    Case("a bound in time is right", _field(f"{STAMP} valid_until = 1; {STAMP} since = 2;")),
    Case(
        "seconds since 1970 are found", _field("@@int64 create_time = 1;"), _no_time("create_time")
    ),
    Case("a text is found", _field("@@string created_at = 1;"), _no_time("created_at")),
    Case(
        "a timestamp in milliseconds is found",
        _field("@@int64 timestamp = 1;"),
        _no_time("timestamp"),
    ),
    Case(
        "a date with a time as text is found",
        _field("@@string order_datetime = 1;"),
        _no_time("order_datetime"),
    ),
    Case(
        "a Timestamp that does not say it is one is found",
        _field(f"@@{STAMP} updated = 1;"),
        ("updated does not say that it is a time",),
    ),
    Case(
        "a Timestamp called a timestamp is found",
        _field(f"@@{STAMP} commit_timestamp = 1;"),
        ("commit_timestamp does not say that it is a time",),
    ),
    Case(
        "a verb in the past tense is found",
        _field(f"@@{STAMP} created_time = 1;"),
        ("created_time says when in the past tense",),
    ),
    Case("a length of time is right", _field("int32 days_since_start_time = 1;")),
    Case("a place is no time", _field("string looked_at = 1; string meet_at = 2;")),
    Case(
        "another message may be a time",
        _field("Hour open_time = 1; message Hour { int32 hour = 1; }"),
    ),
    Case("a bool about a time is right", _field("bool has_create_time = 1;")),
    Case("a part of a word is none", _field("int32 lifetimes = 1; string overtime = 2;")),
)
