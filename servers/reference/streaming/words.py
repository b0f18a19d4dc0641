"""Words to search by: the same for titles and queries, whatever the database makes of text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

MOST: Final = 20
"""Words of a query that count; later ones are not looked at."""
LONGEST: Final = 500
"""Characters of a word that count: Postgres takes no lexeme of more than 2,046 bytes."""

_WORD: Final = re.compile(r"[^\W_]+")


class _WithoutMarks(dict[int, int | None]):
    """For str.translate: takes away what stands above or below letters."""

    def __missing__(self, point: int) -> int | None:
        self[point] = None if unicodedata.category(chr(point)) == "Mn" else point
        return self[point]


_MARKS: Final = _WithoutMarks()


def words(*texts: str) -> list[str]:
    """The words of texts, in order: without case, accents and punctuation ("Café" is "cafe")."""
    joined = " ".join(texts)
    if not joined.isascii():
        apart = unicodedata.normalize("NFKD", joined.casefold())
        joined = apart.translate(_MARKS).casefold()
    return [word[:LONGEST] for word in _WORD.findall(joined.lower())]


def fts5(query: Iterable[str]) -> str:
    """The query for SQLite's FTS5: all words, the last one as a beginning."""
    *whole, last = query
    return " AND ".join([*(f'"{word}"' for word in whole), f'"{last}" *'])


def tsquery(query: Iterable[str]) -> str:
    """The query for Postgres (tsquery): all words, the last one as a beginning."""
    *whole, last = query
    return " & ".join([*(f"'{word}'" for word in whole), f"'{last}':*"])
