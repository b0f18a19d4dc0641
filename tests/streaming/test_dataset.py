"""The import of the data file: what it keeps, mends, leaves empty and skips, and how it says so."""

from __future__ import annotations

import csv
import io
import json
import lzma
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import date

import pytest

import reference.streaming.catalog.app as catalog_app
from acme.streaming.catalog.v1 import catalog_pb2 as pb
from databases import NewUrl
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.streaming.catalog import finding
from reference.streaming.catalog.filling import fill
from reference.streaming.dataset import rows
from reference.streaming.dataset.ratings import AGES, minimum_age
from reference.streaming.dataset.rows import COLUMNS, DatasetError
from reference.streaming.dataset.titles import Report, Title, titles

GOOD = {
    "show_id": "s1",
    "type": "Movie",
    "title": "A Name",
    "director": "D One",
    "cast": "A One, A Two",
    "country": "India",
    "date_added": "September 25, 2021",
    "release_year": "2020",
    "rating": "PG-13",
    "duration": "90 min",
    "listed_in": "Dramas, Comedies",
}


def packed(*changes: dict[str, str], head: Sequence[str] = COLUMNS) -> bytes:
    """A data file of rows like GOOD with something changed in each."""
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow(head)
    for number, change in enumerate(changes, 1):
        lines.writerow((GOOD | {"show_id": f"s{number}"} | change).values())
    return lzma.compress(text.getvalue().encode())


def made(*changes: dict[str, str]) -> tuple[list[Title], Report]:
    return titles(rows.read(packed(*changes)))


def test_every_row_of_the_file_is_kept_and_what_was_mended_is_counted() -> None:
    found, report = titles(rows.read(rows.packed()))
    assert len(found) == report.kept == 8807
    assert not report.skipped
    assert {why: len(lines) for why, lines in report.mended.items()} == {
        "cast had an empty or a repeated entry": 2,
        "cast had blanks or invisible characters that mean nothing": 9,
        "country had an empty or a repeated entry": 7,
        "date_added had blanks or invisible characters that mean nothing": 88,
        "director had an empty or a repeated entry": 1,
        "rating held the duration, which was empty": 3,
        "title had blanks or invisible characters that mean nothing": 14,
    }
    assert {why: len(lines) for why, lines in report.empty.items()} == {
        "cast is empty": 825,
        "country is empty": 831,
        "date_added is empty": 10,
        "director is empty": 2634,
        "rating is empty: for adults": 7,
    }
    assert report.words() == "8807 titles kept, 0 rows skipped, 124 cells mended"


def test_a_duration_in_the_column_of_ratings_goes_where_it_belongs() -> None:
    found, _ = titles(rows.read(rows.packed()))
    swapped = {title.title_id: title for title in found}["s5542"]
    assert (swapped.minutes, swapped.rating, swapped.minimum_age) == (74, "", 18)


def test_a_row_is_read_into_a_title() -> None:
    [title], _ = made({})
    assert title == Title(
        title_id="s1",
        series=False,
        name="A Name",
        directors=("D One",),
        actors=("A One", "A Two"),
        countries=("India",),
        genres=("Dramas", "Comedies"),
        added=date(2021, 9, 25),
        year=2020,
        rating="PG-13",
        minimum_age=13,
        minutes=90,
        seasons=0,
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"show_id": "x1"}, "show_id is not s and a number"),
        ({"show_id": ""}, "show_id is not s and a number"),
        ({"type": "Film"}, "type is neither Movie nor TV Show"),
        ({"title": " \u200b"}, "title is empty"),
        ({"release_year": "20x0"}, "release_year is no year"),
        ({"release_year": "12"}, "release_year is no year"),
        ({"release_year": ""}, "release_year is no year"),
    ],
)
def test_a_row_that_says_too_little_is_skipped_with_its_line(
    change: dict[str, str], why: str
) -> None:
    found, report = made({}, change, {})
    assert [title.title_id for title in found] == ["s1", "s3"]
    assert report.skipped == {why: [3]}


def test_a_second_row_of_the_same_title_is_skipped() -> None:
    found, report = made({}, {"show_id": "s1", "title": "Another"})
    assert [title.name for title in found] == ["A Name"]
    assert report.skipped == {"show_id stands in an earlier row": [3]}


def test_a_row_with_too_few_cells_is_skipped() -> None:
    data = lzma.compress((",".join(COLUMNS) + "\r\ns1,Movie,A\r\n").encode())
    found, report = titles(rows.read(data))
    assert (found, report.skipped) == ([], {"it has not 11 cells": [2]})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"date_added": "25.9.2021"}, "date_added cannot be read"),
        ({"date_added": "February 30, 2021"}, "date_added cannot be read"),
        ({"date_added": "Septembre 2, 2021"}, "date_added cannot be read"),
        ({"duration": "2 Seasons"}, "duration cannot be read"),
        ({"duration": "long"}, "duration cannot be read"),
        ({"rating": "XXX"}, "rating is none that is known: for adults"),
        ({"rating": ""}, "rating is empty: for adults"),
    ],
)
def test_a_cell_that_cannot_be_read_stays_empty(change: dict[str, str], why: str) -> None:
    [title], report = made(change)
    assert report.empty == {why: [2]}
    assert not report.skipped
    assert title.rating or title.minimum_age == 18


@pytest.mark.parametrize("rating", [*AGES, "", "whatever"])
def test_what_is_not_known_to_be_for_children_is_for_adults(rating: str) -> None:
    expected = {"TV-Y": 0, "G": 0, "TV-G": 0, "TV-Y7": 7, "TV-Y7-FV": 7, "PG": 8, "TV-PG": 8}
    older = {"PG-13": 13, "TV-14": 14, "R": 17, "TV-MA": 17}
    assert minimum_age(rating) == (expected | older).get(rating, 18)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no xz", "no xz of CSV in UTF-8"),
        (lzma.compress(b"\xff\xfe"), "no xz of CSV in UTF-8"),
        (packed(head=["a", "b"]), "columns are a, b; expected are show_id, type"),
        (lzma.compress((",".join(COLUMNS) + '\r\n"s1"x,').encode()), "line 2: no CSV"),
    ],
)
def test_a_file_of_another_form_is_refused_with_what_is_wrong(data: bytes, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        titles(rows.read(data))


def test_the_command_prints_the_report() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reference.streaming.dataset"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    report = json.loads(done.stdout)
    assert report["kept"] == 8807
    assert report["mended"]["rating held the duration, which was empty"] == {
        "rows": 3,
        "first_lines": [5543, 5796, 5815],
    }


@pytest.fixture
async def database(new_url: NewUrl) -> AsyncIterator[Database]:
    made = Database(new_url(), schema="catalog")
    await migrate(made, catalog_app.MIGRATIONS)
    yield made
    await made.close()


async def names(database: Database, query: str = "") -> list[str]:
    wanted = finding.Wanted(age=18, query=query, order="title")
    found = await database.read(lambda connection: finding.search(connection, wanted, None, 100))
    return [pb.Title.FromString(each.message).display_name for each in found]


async def test_a_file_is_taken_in_once_and_another_one_replaces_it_whole(
    database: Database,
) -> None:
    first = packed({"title": "Alpha"}, {"title": "Beta"})
    version = await fill(database, first)
    assert await fill(database, first) == version
    assert await names(database) == ["Alpha", "Beta"]
    assert await fill(database, packed({"title": "Gamma"})) != version
    assert await names(database) == ["Gamma"]
    assert (await names(database, "alpha"), await names(database, "gamma")) == ([], ["Gamma"])


async def test_a_file_that_cannot_be_read_changes_nothing(database: Database) -> None:
    await fill(database, packed({"title": "Alpha"}))
    with pytest.raises(DatasetError):
        await fill(database, b"no xz")
    assert await names(database) == ["Alpha"]
