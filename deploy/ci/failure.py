"""Says in a comment why a review could not be made. Usage: failure.py FILE >comment.md.

FILE is what the review wrote to standard error. A change speaks in it (names of files, lines of
contracts): here it is text in one block of code, where nothing is live, nobody is mentioned and no
command is taken; what does not print stands as its escape. A long one is cut, since hosts refuse
long comments. Needs Python alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

LONGEST: Final = 20_000
"""Characters that are shown; GitHub takes 65,536 in a comment, GitLab 1,000,000."""
MOST: Final = 200
"""Lines that are shown."""
WIDEST: Final = 500
"""Characters of a line that are shown."""
HEAD: Final = "### Contract review: it could not be made\n\n"


def comment(path: Path) -> str:
    """The comment, in Markdown. OSError for a file that cannot be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        read = file.read(4 * LONGEST)
    lines = read.decode(errors="backslashreplace").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    shown: list[str] = []
    room, cut = LONGEST, size > len(read) or len(lines) > MOST
    for line in lines[:MOST]:
        safe = "".join(map(_shown, line))
        if len(safe) > WIDEST:
            safe, cut = f"{safe[:WIDEST]} ...", True
        room -= len(safe) + 5
        if room < 0:
            cut = True
            break
        shown.append(f"    {safe}".rstrip())
    text = "\n".join(shown) or "It said nothing; the log of this run may say more."
    rest = (
        f"\n\nThis is cut: there are {size:,} bytes of it. The whole stands in the log of this "
        "run, and in `error.txt` among its reports."
        if cut
        else ""
    )
    return f"{HEAD}{text}{rest}\n"


def _shown(character: str) -> str:
    """A character as it is shown: what could end a line, or hide or turn text, as its escape."""
    if character.isprintable() or character == "\t":
        return character
    return character.encode("unicode_escape").decode()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: failure.py FILE")
    sys.stdout.buffer.write(comment(Path(sys.argv[1])).encode(errors="backslashreplace"))
