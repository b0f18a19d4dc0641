"""Titles: what each row says, mended where it is beyond doubt, skipped where it says too little.

A fact is never made up: a cell that cannot be read stays empty. What was done, to which line and
why, is counted in a Report, with the first lines of each kind.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from typing import Final, NamedTuple

from reference.streaming.dataset.ratings import AGES, minimum_age
from reference.streaming.dataset.rows import COLUMNS, Row

MOVIE: Final = "Movie"
SERIES: Final = "TV Show"
MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
EXAMPLES: Final = 5
"""Lines that a report names of each kind."""

_ID: Final = re.compile(r"s[1-9][0-9]{0,8}")
_DATE: Final = re.compile(r"([A-Z][a-z]+) ([0-9]{1,2}), ([0-9]{4})")
_DURATION: Final = re.compile(r"([1-9][0-9]{0,4}) (min|Seasons?)")
_SPREADSHEET: Final = re.compile(rf"[0-9]{{1,2}}-(?:{'|'.join(name[:3] for name in MONTHS)})")


class Title(NamedTuple):
    """One title. What the file does not say is empty, None or 0."""

    title_id: str
    series: bool
    name: str
    directors: tuple[str, ...]
    actors: tuple[str, ...]
    countries: tuple[str, ...]
    genres: tuple[str, ...]
    added: date | None
    year: int
    rating: str
    minimum_age: int
    minutes: int
    seasons: int


class Report:
    """What was done to rows: how often each thing, and the first lines it was done to."""

    def __init__(self) -> None:
        self.kept = 0
        self.mended: dict[str, list[int]] = {}
        self.empty: dict[str, list[int]] = {}
        self.skipped: dict[str, list[int]] = {}
        self.noticed: dict[str, list[int]] = {}

    def figures(self) -> dict[str, object]:
        """The report as JSON has it."""
        return {
            "kept": self.kept,
            "skipped": _counts(self.skipped),
            "mended": _counts(self.mended),
            "empty": _counts(self.empty),
            "noticed": _counts(self.noticed),
        }

    def words(self) -> str:
        """The report in one line."""
        skipped, mended = (sum(map(len, kind.values())) for kind in (self.skipped, self.mended))
        return f"{self.kept} titles kept, {skipped} rows skipped, {mended} cells mended"


def _counts(found: dict[str, list[int]]) -> dict[str, object]:
    return {
        why: {"rows": len(lines), "first_lines": lines[:EXAMPLES]}
        for why, lines in sorted(found.items())
    }


def titles(rows: Iterable[Row]) -> tuple[list[Title], Report]:
    """The titles of all rows that are good enough, and what was done to get them."""
    report = Report()
    found: dict[str, Title] = {}
    for row in rows:
        made = _Reading(row, report).title()
        if made is None:
            continue
        if made.title_id in found:
            _note(report.skipped, "show_id stands in an earlier row", row.line)
            continue
        found[made.title_id] = made
    report.kept = len(found)
    return list(found.values()), report


def _note(kind: dict[str, list[int]], why: str, line: int) -> None:
    kind.setdefault(why, []).append(line)


class _Reading:
    """Reads one row."""

    def __init__(self, row: Row, report: Report) -> None:
        self._row = row
        self._report = report

    def title(self) -> Title | None:
        made = self._read()
        if isinstance(made, Title):
            return made
        _note(self._report.skipped, made, self._row.line)
        return None

    def _read(self) -> Title | str:
        """The title, or why the row is skipped."""
        row = self._row
        if len(row.cells) != len(COLUMNS):
            return f"it has not {len(COLUMNS)} cells"
        cells = dict(zip(COLUMNS, map(self._clean, COLUMNS, row.cells), strict=True))
        if not _ID.fullmatch(cells["show_id"]):
            return "show_id is not s and a number"
        if cells["type"] not in (MOVIE, SERIES):
            return f"type is neither {MOVIE} nor {SERIES}"
        if not cells["title"]:
            return "title is empty"
        year = cells["release_year"]
        if not (year.isascii() and year.isdigit() and 1870 <= int(year) <= 2100):
            return "release_year is no year"
        if _SPREADSHEET.fullmatch(cells["title"]):
            self._notice("title looks like a date that a spreadsheet made of it; kept as it is")
        rating, duration = self._swapped(cells["rating"], cells["duration"])
        series = cells["type"] == SERIES
        minutes, seasons = self._duration(duration, series)
        return Title(
            title_id=cells["show_id"],
            series=series,
            name=cells["title"],
            directors=self._list("director", cells["director"]),
            actors=self._list("cast", cells["cast"]),
            countries=self._list("country", cells["country"]),
            genres=self._list("listed_in", cells["listed_in"]),
            added=self._date(cells["date_added"]),
            year=int(year),
            rating=self._rating(rating),
            minimum_age=minimum_age(rating),
            minutes=minutes,
            seasons=seasons,
        )

    def _notice(self, why: str) -> None:
        _note(self._report.noticed, why, self._row.line)

    def _mend(self, why: str) -> None:
        _note(self._report.mended, why, self._row.line)

    def _empty(self, why: str) -> None:
        _note(self._report.empty, why, self._row.line)

    def _clean(self, column: str, cell: str) -> str:
        """Without invisible characters, and without blanks at its ends or two in a row."""
        # What is printable has neither invisible characters nor blanks other than " ".
        if cell.isprintable() and "  " not in cell and unicodedata.is_normalized("NFC", cell):
            clean = cell.strip()
        else:
            seen = (" " if each.isspace() else each for each in unicodedata.normalize("NFC", cell))
            kept = "".join(
                each
                for each in seen
                if each in _JOINERS or unicodedata.category(each) not in _INVISIBLE
            )
            clean = " ".join(kept.split())
        if clean != cell:
            self._mend(f"{column} had blanks or invisible characters that mean nothing")
        return clean

    def _list(self, column: str, cell: str) -> tuple[str, ...]:
        if not cell:
            self._empty(f"{column} is empty")
            return ()
        parts = [part.strip() for part in cell.split(",")]
        kept = tuple(dict.fromkeys(part for part in parts if part))
        if len(kept) != len(parts):
            self._mend(f"{column} had an empty or a repeated entry")
        return kept

    def _swapped(self, rating: str, duration: str) -> tuple[str, str]:
        if not duration and _DURATION.fullmatch(rating):
            self._mend("rating held the duration, which was empty")
            return "", rating
        return rating, duration

    def _rating(self, rating: str) -> str:
        if rating in AGES:
            return rating
        if rating:
            self._empty("rating is none that is known: for adults")
        else:
            self._empty("rating is empty: for adults")
        return ""

    def _duration(self, duration: str, series: bool) -> tuple[int, int]:
        found = _DURATION.fullmatch(duration)
        if found is None or (found[2] != "min") != series:
            self._empty("duration is empty" if not duration else "duration cannot be read")
            return 0, 0
        return (0, int(found[1])) if series else (int(found[1]), 0)

    def _date(self, cell: str) -> date | None:
        if not cell:
            self._empty("date_added is empty")
            return None
        found = _DATE.fullmatch(cell)
        try:
            if found is None:
                raise ValueError(cell)
            return date(int(found[3]), MONTHS.index(found[1]) + 1, int(found[2]))
        except ValueError:
            self._empty("date_added cannot be read")
            return None


_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_JOINERS: Final = frozenset({"\u200c", "\u200d"})
"""Invisible too, but part of how some scripts spell words."""
