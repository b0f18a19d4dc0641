"""What profiles watched, kept on disk. An event counts once, however often it comes."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from meshpact.servers.storage.content import digest
from meshpact.servers.storage.retention import Retention
from reference.streaming.recommendations.tables import events, forgotten, plays

LIKED: Final = 4
"""Stars from which a title counts as liked."""

Kind = Literal["started", "position", "finished", "rated"]


class EventReused(Exception):
    """The event_id was used before, for something else."""


class Event(NamedTuple):
    """One event. `value` is the position in milliseconds, or the stars; else 0."""

    event_id: str
    title_id: str
    time: int
    kind: Kind
    value: int = 0


class Play(NamedTuple):
    """What a profile did with one title; `time` is that of its last event, in microseconds, the
    others say when the position and the stars were told."""

    title_id: str
    time: int
    position_time: int = 0
    position_ms: int = 0
    finished: bool = False
    stars_time: int = 0
    stars: int = 0


_PLAY: Final = (
    plays.c.title_id,
    plays.c.last_time,
    plays.c.position_time,
    plays.c.position_ms,
    plays.c.finished,
    plays.c.stars_time,
    plays.c.stars,
)


def keep(connection: Connection, profile_id: str, event: Event, timed: bool, now: int) -> bool:
    """Keeps an event; False when it changes nothing: it was kept before, or is from before the
    history was deleted. `timed`: its time is the sender's. Raises EventReused."""
    content = digest(event.title_id, event.kind, event.value, event.time if timed else 0)
    known = connection.execute(
        select(events.c.digest).where(
            events.c.profile_id == profile_id, events.c.event_id == event.event_id
        )
    ).scalar()
    if known is not None:
        if known != content:
            raise EventReused
        return False
    until = connection.execute(
        select(forgotten.c.at).where(forgotten.c.profile_id == profile_id)
    ).scalar()
    if until is not None and event.time <= until:
        return False
    connection.execute(
        insert(events).values(
            profile_id=profile_id, event_id=event.event_id, digest=content, kept_at=now
        )
    )
    _count(connection, profile_id, event)
    return True


def _count(connection: Connection, profile_id: str, event: Event) -> None:
    where = and_(plays.c.profile_id == profile_id, plays.c.title_id == event.title_id)
    row = connection.execute(select(*_PLAY).where(where).with_for_update()).first()
    if row is None:
        play = after(Play(event.title_id, event.time), event)
        connection.execute(insert(plays).values(profile_id=profile_id, **_columns(play)))
    else:
        play = after(Play(*row), event)
        connection.execute(update(plays).where(where).values(**_columns(play)))


def after(play: Play, event: Event) -> Play:
    """The play after one more event. In whatever order events come, and how often, they add up to
    the same: of two that say the same thing the later one counts."""
    play = play._replace(time=max(play.time, event.time))
    told = event.time, event.value
    match event.kind:
        case "finished":
            return play._replace(finished=True)
        case "rated":
            stars_time, stars = max((play.stars_time, play.stars), told)
            return play._replace(stars_time=stars_time, stars=stars)
        case "started" | "position":
            position_time, position = max((play.position_time, play.position_ms), told)
            return play._replace(position_time=position_time, position_ms=position)


def _columns(play: Play) -> dict[str, object]:
    return {column.name: value for column, value in zip(_PLAY, play, strict=True)}


def watched(connection: Connection, profile_id: str) -> list[Play]:
    """All that a profile watched, the latest first."""
    return page(connection, profile_id, None, None)


def page(
    connection: Connection, profile_id: str, last: tuple[int, str] | None, most: int | None
) -> list[Play]:
    """The first `most` plays that come after the one of (time, title_id), the latest first."""
    statement = select(*_PLAY).where(plays.c.profile_id == profile_id)
    if last is not None:
        time, title_id = last
        statement = statement.where(
            or_(
                plays.c.last_time < time,
                and_(plays.c.last_time == time, plays.c.title_id > title_id),
            )
        )
    statement = statement.order_by(plays.c.last_time.desc(), plays.c.title_id).limit(most)
    return [Play(*row) for row in connection.execute(statement)]


def forget(connection: Connection, profile_id: str, now: int) -> int:
    """Deletes a profile's history; how many titles it had. What is from before `now` stays away."""
    until = connection.execute(
        select(forgotten.c.at).where(forgotten.c.profile_id == profile_id).with_for_update()
    ).scalar()
    if until is None:
        connection.execute(insert(forgotten).values(profile_id=profile_id, at=now))
    else:
        connection.execute(
            update(forgotten).where(forgotten.c.profile_id == profile_id).values(at=max(now, until))
        )
    connection.execute(delete(events).where(events.c.profile_id == profile_id))
    return connection.execute(delete(plays).where(plays.c.profile_id == profile_id)).rowcount


def popularity(connection: Connection) -> dict[str, int]:
    """How many profiles watched each title to its end or liked it."""
    counted = connection.execute(
        select(plays.c.title_id, func.count())
        .where(or_(plays.c.finished, plays.c.stars >= LIKED))
        .group_by(plays.c.title_id)
    )
    return {row[0]: row[1] for row in counted}


def add_rules(retention: Retention, keep: float) -> None:
    """The event_ids go that are older than `keep` seconds; what the events did stays."""
    retention.rows(events, lambda now: events.c.kept_at < round((now - keep) * 1e6))
