"""Playback events of a session, as the history keeps them."""

from __future__ import annotations

from typing import Final

from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import EventInFuture
from meshpact.interceptors.errors import FieldViolation, invalid_request
from reference.streaming.recommendations.history import Event, Kind

AHEAD: Final = 60_000_000
"""Microseconds that a sender's clock may be ahead."""
TIMES: Final = range(-62_135_596_800, 253_402_300_800)
"""Seconds since the epoch of the years 1 to 9999: what a Timestamp may hold."""
NANOS: Final = range(1_000_000_000)


def event(said: pb.PlaybackEvent, now: int) -> tuple[Event, bool]:
    """An event as the history keeps it, and whether its time is the sender's.

    Times are microseconds since the epoch. Raises EventInFuture; INVALID_ARGUMENT for what is no
    time.
    """
    timed = said.HasField("event_time")
    if timed:
        _within("event_time.seconds", said.event_time.seconds, TIMES)
        _within("event_time.nanos", said.event_time.nanos, NANOS)
    _within("position.position.nanos", said.position.position.nanos, NANOS)
    time = said.event_time.ToMicroseconds() if timed else now
    if time > now + AHEAD:
        raise EventInFuture(event_id=said.event_id, seconds=(time - now) // 1_000_000)
    kind, value = _kind(said)
    return Event(said.event_id.lower(), said.title_id, time, kind, value), timed


def _within(field: str, value: int, allowed: range) -> None:
    if value not in allowed:
        text = f"must be from {allowed.start} to {allowed.stop - 1}; found {value}"
        raise invalid_request([FieldViolation(f"event.{field}", text, "TIME_INVALID")])


def _kind(said: pb.PlaybackEvent) -> tuple[Kind, int]:
    match said.WhichOneof("kind"):
        case "started":
            return "started", 0
        case "position":
            return "position", said.position.position.ToMilliseconds()
        case "finished":
            return "finished", 0
        case _:
            return "rated", said.rated.stars
