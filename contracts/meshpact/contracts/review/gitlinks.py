"""Links to folders in git: where they lead to, found by hand, as git lists no tree behind them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import Final

_MOST: Final = 40
"""Links that are followed one after the other, as the kernel has it."""


class Links:
    """The links of one commit. `target` gives the text of the link at a path, "" for no link;
    `is_tree` whether a folder is there."""

    def __init__(self, target: Callable[[str], str], is_tree: Callable[[str], bool]) -> None:
        self._target = target
        self._is_tree = is_tree
        self._known: dict[str, str] = {}

    def folder(self, path: str) -> str | None:
        """The folder that a path leads to, without links in it, "." for the top; None where it
        leads to none, or out of the repository."""
        real = self._real(path)
        return real if real is not None and self._is_tree(real) else None

    def _real(self, path: str) -> str | None:
        done: list[str] = []
        left = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        followed = 0
        while left:
            part = left.pop()
            if part == "..":
                if not done:
                    return None
                done.pop()
                continue
            target = self._link("/".join([*done, part]))
            if not target:
                done.append(part)
                continue
            followed += 1
            if followed > _MOST or target.startswith("/"):
                return None
            left += [each for each in reversed(target.split("/")) if each not in ("", ".")]
        return "/".join(done) or "."

    def _link(self, path: str) -> str:
        if path not in self._known:
            self._known[path] = self._target(path)
        return self._known[path]


def is_below(path: str, folders: Sequence[str]) -> bool:
    """Whether a path is one of the folders, or below one."""
    return any(each in (".", path) or path.startswith(f"{each}/") for each in folders)


def from_link(link: str, real: str) -> str:
    """What a link says that leads to a folder."""
    return posixpath.relpath(real, posixpath.dirname(link) or ".")
