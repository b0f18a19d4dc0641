"""JSON objects from strangers: UTF-8, no name twice at any depth, shallow, only finite numbers."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn, cast

MAX_DEPTH: Final = 16
"""Objects and lists within each other."""


def parse_object(data: bytes) -> dict[str, Any]:
    """The object in `data`. ValueError says what is wrong, and holds nothing of the data."""
    try:
        value = _decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    found = cast("dict[str, Any]", value)
    if not _is_plain(data):
        _check(found)
    return found


def is_text(value: object, longest: int) -> bool:
    """Whether a value is a text of at most `longest` characters without control characters."""
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


_TOO_DEEP: Final = f"it is nested more than {MAX_DEPTH} deep"


def _is_plain(data: bytes) -> bool:
    """Whether nothing in it can be nested too deep, or be a text that is no Unicode."""
    return data.isascii() and b"\\u" not in data and data.count(b"{") + data.count(b"[") < MAX_DEPTH


def _check(found: dict[str, Any]) -> None:
    """Level by level: depth, and texts that are no Unicode (halves of surrogate pairs)."""
    level: list[object] = [found]
    for _ in range(MAX_DEPTH):
        inside: list[object] = []
        for value in level:
            if isinstance(value, dict):
                members = cast("dict[str, object]", value)
                inside.extend(members)
                inside.extend(members.values())
            elif isinstance(value, list):
                inside.extend(cast("list[object]", value))
            elif isinstance(value, str) and not _is_unicode(value):
                raise ValueError("it holds a text that is not Unicode")
        if not inside:
            return
        level = inside
    raise ValueError(_TOO_DEEP)


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number in it is too large")
    return number


def _not_json(_: str) -> NoReturn:
    raise ValueError("it is not JSON")


_decode: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_not_json, parse_float=_finite
).decode
