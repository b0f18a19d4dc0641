"""What is looked up in the catalog: searches, facets, titles by their identifiers.

One set of statements for both kinds of database; only the match of words differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    bindparam,
    case,
    column,
    func,
    literal,
    select,
    text,
    tuple_,
)

from reference.streaming.catalog.tables import labels, titles
from reference.streaming.words import MOST, fts5, tsquery, words

FACETS: Final = ("series", "genre", "rating", "decade", "country")

Key = tuple[int, int]
"""Where a title stands in an order: its rank, then its place by name."""


class Wanted(NamedTuple):
    """What is searched for; an empty tuple or query asks for nothing in particular."""

    age: int
    query: str = ""
    series: tuple[bool, ...] = ()
    genre: tuple[str, ...] = ()
    rating: tuple[str, ...] = ()
    decade: tuple[int, ...] = ()
    country: tuple[str, ...] = ()
    order: str = ""


class Found(NamedTuple):
    """One title found: where it stands, and its message on the wire."""

    key: Key
    message: bytes


def search(connection: Connection, wanted: Wanted, after: Key | None, most: int) -> list[Found]:
    """The first `most` titles that come after a key, in order."""
    asked = words(wanted.query)[:MOST]
    if wanted.query and not asked:
        return []
    rank = _rank(wanted.order, asked, connection)
    conditions = _conditions(wanted, asked, connection)
    if after is not None:
        conditions.append(
            tuple_(rank, titles.c.place) > tuple_(literal(after[0]), literal(after[1]))
        )
    statement = (
        select(rank.label("rank"), titles.c.place, titles.c.message)
        .where(*conditions)
        .order_by("rank", titles.c.place)
        .limit(most)
    )
    return [Found((rank, place), message) for rank, place, message in connection.execute(statement)]


def facets(connection: Connection, wanted: Wanted) -> tuple[int, dict[str, list[tuple[Any, int]]]]:
    """How many titles a search finds, and by each of FACETS, as if that one were not chosen."""
    asked = words(wanted.query)[:MOST]
    if wanted.query and not asked:
        return 0, {facet: [] for facet in FACETS}
    total = connection.execute(
        select(func.count()).select_from(titles).where(*_conditions(wanted, asked, connection))
    ).scalar_one()
    return total, {facet: _facet(connection, wanted, asked, facet) for facet in FACETS}


def by_id(connection: Connection, title_ids: Iterable[str], age: int) -> dict[str, bytes]:
    """The messages of those titles that there are and that a person of this age may watch."""
    statement = select(titles.c.title_id, titles.c.message).where(
        titles.c.title_id.in_(list(title_ids)), titles.c.minimum_age <= age
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def one(connection: Connection, title_id: str) -> tuple[int, bytes] | None:
    """The age from which a title is allowed, and its message."""
    found = connection.execute(
        select(titles.c.minimum_age, titles.c.message).where(titles.c.title_id == title_id)
    ).first()
    return None if found is None else (found[0], found[1])


def slice_after(connection: Connection, place: int, most: int) -> tuple[int, list[bytes]]:
    """The messages of the next titles by name, and the place of the last one."""
    statement = (
        select(titles.c.place, titles.c.message)
        .where(titles.c.place > place)
        .order_by(titles.c.place)
        .limit(most)
    )
    found = connection.execute(statement).all()
    return (found[-1][0] if found else place), [message for _, message in found]


def _rank(order: str, asked: list[str], connection: Connection) -> ColumnElement[int]:
    match order:
        case "title":
            return literal(0)
        case "release_year desc":
            return -titles.c.year
        case "add_date desc":
            return -titles.c.added_day
        case _ if asked:
            in_name = titles.c.place.in_(_matching(asked, connection, name_only=True))
            return case((in_name, 0), else_=1)
        case _:
            return -titles.c.added_day


def _conditions(
    wanted: Wanted, asked: list[str], connection: Connection, but: str = ""
) -> list[ColumnElement[bool]]:
    """What a title must fulfil; `but` is the facet whose choice does not count."""
    found: list[ColumnElement[bool]] = [titles.c.minimum_age <= wanted.age]
    if asked:
        found.append(titles.c.place.in_(_matching(asked, connection)))
    for facet in FACETS:
        chosen: tuple[Any, ...] = getattr(wanted, facet)
        if not chosen or facet == but:
            continue
        if facet in _LABELS:
            carrying = select(labels.c.place).where(
                labels.c.kind == facet, labels.c.value.in_(chosen)
            )
            found.append(titles.c.place.in_(carrying))
        else:
            found.append(titles.c[facet].in_(chosen))
    return found


def _facet(
    connection: Connection, wanted: Wanted, asked: list[str], facet: str
) -> list[tuple[Any, int]]:
    conditions = _conditions(wanted, asked, connection, but=facet)
    if facet in _LABELS:
        value: ColumnElement[Any] = labels.c.value
        joined = titles.join(labels, labels.c.place == titles.c.place)
        statement = select(value, func.count()).select_from(joined)
        conditions.append(labels.c.kind == facet)
    else:
        value = titles.c[facet]
        statement = select(value, func.count())
    counted = connection.execute(statement.where(*conditions).group_by(value))
    found = [(row[0], row[1]) for row in counted if row[0] != ""]
    return sorted(found, key=lambda each: (-each[1], each[0]))


def _matching(asked: list[str], connection: Connection, *, name_only: bool = False) -> Any:
    """The places of the titles that have all words."""
    if connection.dialect.name == "sqlite":
        query = f"{{title}} : ({fts5(asked)})" if name_only else fts5(asked)
        matching = text("SELECT rowid AS place FROM words WHERE words MATCH :words_query")
    else:
        query = tsquery(asked)
        where = "title" if name_only else "everything"
        matching = text(
            f"SELECT place FROM words WHERE {where} @@ CAST(:words_query AS tsquery)"  # noqa: S608
        )
    return matching.bindparams(bindparam("words_query", query, unique=True)).columns(
        column("place", Integer)
    )


_LABELS: Final = frozenset({"genre", "country"})
