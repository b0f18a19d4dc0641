"""How generated files differ from what the contracts say: a unified diff that stays readable."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

_LINES: Final = 120
"""Lines of all diffs together."""
_LINES_OF_FILE: Final = 40
_COMPARED: Final = 2_000
"""Lines of a file that are compared, from its first difference on: more would take long."""
_WIDTH: Final = 200


def difference(stale: Mapping[str, tuple[bytes | None, bytes | None]]) -> str:
    """A unified diff of files, each from what is there to what should be (None: no file).

    At most 120 lines, 40 a file; what is cut off is counted.
    """
    lines: list[str] = []
    left = 0
    for path, (old, new) in stale.items():
        if len(lines) >= _LINES:
            left += 1
            continue
        found = list(islice(_file(path, old, new), _LINES_OF_FILE + 1))
        if len(found) > _LINES_OF_FILE:
            found[_LINES_OF_FILE:] = [f"... more of {path} differs"]
        lines += [line if len(line) <= _WIDTH else line[:_WIDTH] + "..." for line in found]
    if left:
        lines.append(f"... and {left} more {'file' if left == 1 else 'files'}")
    return "".join(f"{line}\n" for line in lines)


def _file(path: str, old: bytes | None, new: bytes | None) -> Iterator[str]:
    before, after = _text(old), _text(new)
    yield f"--- {path if old is not None else '/dev/null'}"
    yield f"+++ {path if new is not None else '/dev/null'}"
    if old is None or new is None:
        sign = "-" if new is None else "+"
        yield f"@@ -{_range(before)} +{_range(after)} @@"
        yield from (sign + line for line in before or after)
        return
    same = next(
        (n for n, (one, other) in enumerate(zip(before, after, strict=False)) if one != other),
        min(len(before), len(after)),
    )
    start = max(0, same - 3)
    old_lines, new_lines = (lines[start : start + _COMPARED] for lines in (before, after))
    for line in islice(difflib.unified_diff(old_lines, new_lines, lineterm=""), 2, None):
        yield f"{line} from line {start + 1}" if line.startswith("@@ ") and start else line


def _range(lines: list[str]) -> str:
    return f"1,{len(lines)}" if lines else "0,0"


def _text(data: bytes | None) -> list[str]:
    return (data or b"").decode("utf-8", errors="backslashreplace").splitlines()
