"""Puts the titles of a data file into the database: once for each file, all or none."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select, text

from meshpact.servers.storage.database import Database
from reference.streaming.catalog.messages import message
from reference.streaming.catalog.tables import imports, labels, titles
from reference.streaming.dataset import rows
from reference.streaming.dataset.titles import Report, Title
from reference.streaming.dataset.titles import titles as read_titles
from reference.streaming.words import words

log = logging.getLogger(__name__)

RULES = "1"
"""Another number makes every database take its file in again, by other rules."""


class _Content(NamedTuple):
    titles: list[dict[str, Any]]
    labels: list[dict[str, Any]]
    words: list[dict[str, Any]]
    report: Report


async def fill(database: Database, data: bytes) -> str:
    """Makes the titles in `database` those of a data file (xz of CSV); gives the file's digest.

    Does nothing when they are its titles already. Raises DatasetError for a file of another form.
    """
    digest = hashlib.sha256(RULES.encode() + data).hexdigest()
    if await database.read(lambda connection: _holds(connection, digest)):
        return digest
    content = await asyncio.to_thread(_content, data)
    sqlite = database.sqlite

    def book(connection: Connection) -> None:
        if not _holds(connection, digest):
            _clear(connection, sqlite)
            _write(connection, content, sqlite)
            connection.execute(
                insert(imports).values(digest=digest, report=json.dumps(content.report.figures()))
            )

    await database.write(book)
    log.info("filled the catalog: %s", content.report.words())
    return digest


def _holds(connection: Connection, digest: str) -> bool:
    found = connection.execute(select(imports.c.digest).where(imports.c.digest == digest))
    return found.first() is not None


def _content(data: bytes) -> _Content:
    found, report = read_titles(rows.read(data))
    spelled = sorted((words(title.name), title.title_id, title) for title in found)
    made = _Content([], [], [], report)
    for place, (named, _, title) in enumerate(spelled, 1):
        made.titles.append(_row(place, title))
        made.labels.extend(_label("genre", value, place) for value in title.genres)
        made.labels.extend(_label("country", value, place) for value in title.countries)
        people = words(*title.actors, *title.directors)
        spelled_out = {"title": named, "people": people, "everything": [*named, *people]}
        made.words.append(
            {"place": place} | {name: " ".join(said) for name, said in spelled_out.items()}
        )
    return made


def _row(place: int, title: Title) -> dict[str, Any]:
    return {
        "place": place,
        "title_id": title.title_id,
        "series": title.series,
        "added_day": title.added.toordinal() if title.added else 0,
        "year": title.year,
        "decade": title.year // 10 * 10,
        "rating": title.rating,
        "minimum_age": title.minimum_age,
        "message": message(title).SerializeToString(deterministic=True),
    }


def _label(kind: str, value: str, place: int) -> dict[str, Any]:
    return {"kind": kind, "value": value, "place": place}


def _clear(connection: Connection, sqlite: bool) -> None:
    for table in (imports, labels, titles):
        connection.execute(delete(table))
    empty = "INSERT INTO words (words) VALUES ('delete-all')" if sqlite else "DELETE FROM words"
    connection.execute(text(empty))


def _write(connection: Connection, content: _Content, sqlite: bool) -> None:
    connection.execute(insert(titles), content.titles)
    connection.execute(insert(labels), content.labels)
    connection.execute(_SQLITE_WORDS if sqlite else _POSTGRES_WORDS, content.words)


_SQLITE_WORDS = text("INSERT INTO words (rowid, title, people) VALUES (:place, :title, :people)")
_POSTGRES_WORDS = text(
    "INSERT INTO words (place, title, everything) VALUES (:place,"
    " array_to_tsvector(string_to_array(:title, ' ')),"
    " array_to_tsvector(string_to_array(:everything, ' ')))"
)
