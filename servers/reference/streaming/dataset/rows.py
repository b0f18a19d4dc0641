"""The rows of the data file as they stand there: nothing judged yet."""

from __future__ import annotations

import csv
import io
import lzma
from collections.abc import Iterator
from importlib import resources
from typing import Final, NamedTuple

FILE: Final = "streaming-titles.csv.xz"
COLUMNS: Final = (
    "show_id",
    "type",
    "title",
    "director",
    "cast",
    "country",
    "date_added",
    "release_year",
    "rating",
    "duration",
    "listed_in",
)


class DatasetError(ValueError):
    """The data file is not what it should be."""


class Row(NamedTuple):
    """One row; `line` is where it begins in the file, from 1."""

    line: int
    cells: tuple[str, ...]


def packed() -> bytes:
    """The project's own data file (xz of CSV)."""
    return resources.files("reference.streaming").joinpath("data", FILE).read_bytes()


def read(data: bytes) -> Iterator[Row]:
    """The rows of a file of the same form, whatever number of cells they have.

    Raises DatasetError when it cannot be unpacked, is no UTF-8, or has other columns.
    """
    try:
        text = lzma.decompress(data).decode("utf-8")
    except (lzma.LZMAError, UnicodeDecodeError) as error:
        raise DatasetError(f"no xz of CSV in UTF-8: {error}") from error
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = tuple(next(lines, ()))
        if head != COLUMNS:
            raise DatasetError(f"columns are {', '.join(head)}; expected are {', '.join(COLUMNS)}")
        begins = lines.line_num + 1
        for cells in lines:
            yield Row(begins, tuple(cells))
            begins = lines.line_num + 1
    except csv.Error as error:
        raise DatasetError(f"line {lines.line_num}: no CSV: {error}") from error
