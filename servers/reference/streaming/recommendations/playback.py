"""Playback events of a session, as the history keeps them."""

from __future__ import annotations

from typing import Final

from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import EventInFuture
from reference.streaming.recommendations.history import Event, Kind

AHEAD: Final = 60_000_000
"""Microseconds that a sender's clock may be ahead."""


def event(said: pb.PlaybackEvent, now: int) -> tuple[Event, bool]:
    """An event as the history keeps it, and whether its time is the sender's.

    Times are microseconds since the epoch. Raises EventInFuture.
    """
    timed = said.HasField("event_time")
    time = said.event_time.ToMicroseconds() if timed else now
    if time > now + AHEAD:
        raise EventInFuture(event_id=said.event_id, seconds=(time - now) // 1_000_000)
    kind, value = _kind(said)
    return Event(said.event_id.lower(), said.title_id, time, kind, value), timed


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
