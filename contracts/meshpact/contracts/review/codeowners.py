"""CODEOWNERS as GitHub and as GitLab read it: who must approve a change of a file.

Sources: "About code owners" of GitHub, "Code Owners syntax and error handling" of GitLab. In both
the last match wins; in GitLab it does so in each section, and every section has its say. Lines that
the host would skip are skipped.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.contracts.faults import WrongUse


class Syntax(enum.Enum):
    """Whose rules a file follows; `auto`: GitLab's below .gitlab/ and where it has sections."""

    AUTO = "auto"
    GITHUB = "github"
    GITLAB = "gitlab"


@dataclass(frozen=True)
class Demand:
    """Whose approval is asked for: `required` of the `owners`. `section` is "" but in GitLab's."""

    owners: tuple[str, ...]
    section: str = ""
    required: int = 1
    optional: bool = False


@dataclass(frozen=True)
class _Entry:
    """A line; without owners it says that nobody owns what it matches."""

    pattern: re.Pattern[str]
    demand: Demand
    excludes: bool = False


class CodeOwners:
    """A CODEOWNERS file."""

    def __init__(self, text: str, syntax: Syntax) -> None:
        lines = text.splitlines()
        gitlab = syntax is Syntax.GITLAB
        if syntax is Syntax.AUTO:
            gitlab = any(_SECTION.match(line.strip()) for line in lines)
        self._sections: dict[str, list[_Entry]] = {}
        for key, entry in _gitlab(lines) if gitlab else _github(lines):
            self._sections.setdefault(key, []).append(entry)

    @classmethod
    def load(cls, path: Path, syntax: Syntax = Syntax.AUTO) -> CodeOwners:
        """Reads a file. WrongUse when it cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise WrongUse(f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise WrongUse(f"{path} is no text in UTF-8, and so no CODEOWNERS") from None
        if syntax is Syntax.AUTO and path.absolute().parent.name == ".gitlab":
            syntax = Syntax.GITLAB
        return cls(text, syntax)

    def of(self, path: str) -> list[Demand]:
        """Whose approval a change of a file asks for, its path taken from the repository's top;
        none where nobody owns it."""
        found: list[Demand] = []
        for entries in self._sections.values():
            matching = [entry for entry in entries if entry.pattern.fullmatch(path)]
            if matching and not any(entry.excludes for entry in matching):
                found += [matching[-1].demand] if matching[-1].demand.owners else []
        return found


def _github(lines: Sequence[str]) -> Iterator[tuple[str, _Entry]]:
    for line in lines:
        words = _words(line)
        if not words or words[0].startswith("!") or "[" in words[0]:
            continue
        if all(map(_is_owner, words[1:])):
            yield "", _Entry(_anchored(words[0]), Demand(tuple(words[1:])))


def _gitlab(lines: Sequence[str]) -> Iterator[tuple[str, _Entry]]:
    head = Demand(())
    for line in lines:
        if match := _SECTION.match(line.strip()):
            defaults = tuple(filter(_is_owner, _words(line.strip()[match.end() :])))
            required = max(1, int(match["count"] or 1))
            head = Demand(defaults, match["name"], required, bool(match["optional"]))
            continue
        words = _words(line)
        if not words:
            continue
        owners = tuple(filter(_is_owner, words[1:])) or head.owners
        demand = Demand(owners, head.section, head.required, head.optional)
        pattern = words[0].removeprefix("!")
        yield head.section.lower(), _Entry(_globbed(pattern), demand, pattern != words[0])


def _words(line: str) -> list[str]:
    """The words of a line up to a comment; a space after a backslash is part of a word."""
    found: list[str] = []
    for word in _WORD.findall(line):
        if word.startswith("#"):
            break
        found.append(_ESCAPED.sub(r"\1", word))
    return found


def _is_owner(word: str) -> bool:
    return word.startswith("@") or "@" in word.strip("@")


def _anchored(pattern: str) -> re.Pattern[str]:
    """A pattern of GitHub: as in .gitignore, but `x/*` matches what stands in x itself only."""
    anchored = "/" in pattern.rstrip("/")
    body = pattern.strip("/")
    below = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    if body == "*" or body.endswith("/*"):
        below = "" if anchored else below
    if body.endswith("**"):
        below = ""
    return re.compile(("" if anchored else "(?:.*/)?") + _glob(body) + below, re.DOTALL)


def _globbed(pattern: str) -> re.Pattern[str]:
    """A pattern of GitLab: relative ones begin anywhere, folders end in a slash."""
    start = "" if pattern.startswith("/") else "(?:.*/)?"
    end = ".*" if pattern.endswith("/") else ""
    return re.compile(start + _glob(pattern.removeprefix("/"), sets=True) + end, re.DOTALL)


def _glob(pattern: str, *, sets: bool = False) -> str:
    found = ""
    for part in _GLOB.findall(pattern):
        if part == "**/":
            found += "(?:.*/)?"
        elif part == "**":
            found += ".*"
        elif part == "*":
            found += "[^/]*"
        elif part == "?":
            found += "[^/]"
        elif sets and len(part) > 2 and part.startswith("["):
            inside = part[1:-1].replace("\\", r"\\").replace("[", r"\[")
            found += f"[^{inside[1:]}]" if inside[0] in "!^" else f"[{inside}]"
        else:
            found += re.escape(part)
    return found


_SECTION: Final = re.compile(
    r"(?P<optional>\^)?\[(?P<name>[^\]]+)\](?:\[(?P<count>\d{1,4})\])?(?=\s|$)"
)
_WORD: Final = re.compile(r"(?:\\.|[^\s\\])+")
_ESCAPED: Final = re.compile(r"\\([ #\\@])")
_GLOB: Final = re.compile(r"\*\*/|\*\*|\*|\?|\[[^/\]]+\]|.", re.DOTALL)
