"""Contracts as they were in git, read from its objects into a folder: no checkout, no lock."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.contracts.faults import WrongUse
from meshpact.contracts.review.gitlinks import Links, from_link, is_below
from meshpact.contracts.review.model import Unreadable
from meshpact.contracts.roots import MAX_SOURCE, link_out, too_large

_LINK: Final = "120000"
_RELATIVE: Final = re.compile(r"[~^:]|@\{|^@$|HEAD$")
"""What is in names that hang on what a clone has."""


@dataclass(frozen=True)
class _Entry:
    mode: str
    id: str
    size: int
    path: str


@dataclass(frozen=True)
class Commit:
    """One commit: its IDs, who wrote it and when (ISO 8601), the first line of its message."""

    id: str
    parents: tuple[str, ...]
    author: str
    date: str
    subject: str


@dataclass(frozen=True)
class Repository:
    """A repository by the top of its working tree, which is never written to."""

    top: Path

    @classmethod
    def around(cls, path: Path) -> Repository:
        """The repository that a path is in."""
        here = path if path.is_dir() else path.parent
        done = _git(here, "rev-parse", "--show-toplevel")
        if done.returncode != 0:
            raise WrongUse(
                f"{path} is in no git repository ({_said(done)}): give a folder or an image as the "
                "other side, or run this inside a repository"
            )
        return cls(Path(done.stdout.decode(errors="surrogateescape").rstrip("\n")))

    def commit(self, reference: str) -> str:
        """The ID of the commit that a reference names. WrongUse says what to do without it."""
        if reference.startswith("-"):
            raise WrongUse(f"{reference!r} is no reference of git")
        done = _git(self.top, "rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.decode().strip()
        hint = "git branch --all and git tag list what is there"
        if self.is_shallow:
            name = reference.removeprefix("origin/")
            fetch = f"--depth=1 origin {name}:refs/remotes/origin/{name}"
            if _RELATIVE.search(reference):
                fetch = "--unshallow"  # no remote knows it by such a name
            hint = (
                f"this clone is shallow and does not have it: git fetch {fetch} brings it, or "
                "fetch-depth: 0 in CI"
            )
        raise WrongUse(f"git has no commit {reference!r}; {hint}")

    def fork(self, one: str, two: str) -> str | None:
        """The commit from which two commits have gone their ways, as far as this clone knows."""
        done = _git(self.top, "merge-base", one, two)
        return done.stdout.decode().split("\n", 1)[0] if done.returncode == 0 else None

    def line(self, since: str, until: str) -> list[Commit]:
        """The commits that `until` has and `since` has not, the oldest first, along the first
        parents of `until`. Both are IDs."""
        fields = "%H%x00%P%x00%an%x00%aI%x00%s"
        done = _git(
            self.top,
            *("log", "-z", "--first-parent", "--reverse", "--no-show-signature", "--no-color"),
            *("--encoding=UTF-8", f"--format={fields}", f"{since}..{until}", "--"),
        )
        if done.returncode != 0:
            raise WrongUse(f"git cannot list {since[:12]}..{until[:12]}: {_said(done)}")
        texts = done.stdout.decode(errors="replace").split("\0")
        records = zip(*([iter(texts)] * 5), strict=False)
        return [
            Commit(id_, tuple(parents.split()), author, date, subject)
            for id_, parents, author, date, subject in records
        ]

    def objects(self, commits: Sequence[str], paths: Sequence[str]) -> list[tuple[str, ...]]:
        """For each commit the IDs of what stands at the paths, "" for what it lacks."""
        places = [path if path != "." else "" for path in paths]
        asked = [f"{commit}:{place}" for commit in commits for place in places]
        if not asked:
            return [() for _ in commits]
        done = _git(
            self.top,
            *("cat-file", "--follow-symlinks", "--batch-check=%(objectname)"),
            stdin=os.fsencode("\n".join([*asked, ""])),
        )
        lines = list(_lines(done.stdout))
        if done.returncode != 0 or len(lines) != len(asked):
            raise WrongUse(f"git cannot tell what commits hold: {_said(done)}")
        ids = ["" if b" " in line else line.decode() for line in lines]
        return [tuple(ids[at : at + len(places)]) for at in range(0, len(ids), len(places))]

    @property
    def is_shallow(self) -> bool:
        """Whether history is cut off."""
        return _git(self.top, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    def inside(self, path: Path) -> str:
        """A path as git names it. WrongUse for one outside."""
        full = Path(os.path.normpath(path.absolute()))
        for top in (self.top, self.top.resolve()):
            for found in (full, full.resolve()):
                if found.is_relative_to(top):
                    return found.relative_to(top).as_posix()
        raise WrongUse(
            f"{path} is not in the repository {self.top} of the contracts: its past is not known. "
            "Give one that is in there, or leave it out"
        )

    def has(self, commit: str, path: str) -> bool:
        """Whether a commit has a path."""
        return _git(self.top, "cat-file", "-e", f"{commit}:{path}").returncode == 0

    def blob(self, id_: str) -> bytes:
        """The content of a file by its ID."""
        done = _git(self.top, "cat-file", "blob", id_)
        if done.returncode != 0:
            raise WrongUse(f"git lacks the object {id_} ({_said(done)})")
        return done.stdout

    def export(self, commit: str, folders: Iterable[str], into: Path) -> list[str]:
        """Write the .proto files below folders of a commit, each where it stands in the repository.

        Links to files and folders are followed below the folders; sentences about links to folders
        elsewhere come back. Raises WrongUse and Unreadable.
        """
        folders = tuple(folders)
        entries = {entry.path: entry for entry in self._listed(commit, folders)}
        followed, remarks = self._followed(commit, folders, entries)
        found = [entry for entry in entries.values() if entry.path.endswith(".proto")]
        contents = dict(self._contents(entry for entry in found if entry.path not in followed))
        reals = [followed.get(folder, folder) for folder in folders]
        for entry in found:
            if entry.path in followed:
                continue
            content = contents[entry.id]
            if entry.mode == _LINK:
                content = self._linked(commit, entry.path, content, reals)
            target = into / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for link, real in followed.items():
            (into / link).parent.mkdir(parents=True, exist_ok=True)
            (into / real).mkdir(parents=True, exist_ok=True)
            (into / link).symlink_to(from_link(link, real), target_is_directory=True)
        return remarks

    def _followed(
        self, commit: str, folders: Sequence[str], entries: dict[str, _Entry]
    ) -> tuple[dict[str, str], list[str]]:
        """The folders that links lead to, by the link; `entries` gets what is there."""
        links = Links(
            lambda path: self._target(commit, path), lambda path: self._is_tree(commit, path)
        )
        followed: dict[str, str] = {}
        for folder in folders:
            empty = not any(is_below(path, [folder]) for path in entries)
            if empty or folder in entries:  # it may be a link itself, or stand behind one
                real = links.folder(folder)
                if real is not None and real != folder:
                    followed[folder] = real
                    entries.update((each.path, each) for each in self._listed(commit, [real]))
        inside = [followed.get(folder, folder) for folder in folders]
        listed, remarks = {*inside, *followed}, list[str]()
        waiting = [path for path, entry in entries.items() if entry.mode == _LINK]
        while waiting:
            link = waiting.pop()
            real = None if link in listed else links.folder(link)
            if real is None:
                continue
            if not is_below(real, inside):
                remarks.append(link_out(f"{commit[:12]}:{link}", real))
                continue
            followed[link] = real
            fresh = [] if real in listed else list(self._listed(commit, [real]))
            listed.update((link, real))
            waiting += [each.path for each in fresh if each.mode == _LINK]
            entries.update((each.path, each) for each in fresh)
        return followed, remarks

    def _target(self, commit: str, path: str) -> str:
        done = _git(self.top, "ls-tree", "-z", "--full-tree", commit, "--", path)
        if not done.stdout.startswith(_LINK.encode()):
            return ""
        return os.fsdecode(self.blob(done.stdout.split()[2].decode()))

    def _is_tree(self, commit: str, path: str) -> bool:
        name = "" if path == "." else path
        return _git(self.top, "cat-file", "-t", f"{commit}:{name}").stdout.strip() == b"tree"

    def _listed(self, commit: str, folders: Sequence[str]) -> Iterator[_Entry]:
        """The contracts below folders, and the links."""
        wanted = [folder for folder in folders if folder != "."]
        done = _git(self.top, "ls-tree", "-r", "-z", "--long", "--full-tree", commit, "--", *wanted)
        if done.returncode != 0:
            raise WrongUse(f"git cannot list {commit[:12]}: {_said(done)}")
        for line in done.stdout.split(b"\0"):
            head, tab, name = line.partition(b"\t")
            path = os.fsdecode(name)
            if not tab or _is_hidden(path, wanted):
                continue
            mode, kind, id_, size = head.split()
            if kind != b"blob" or not (path.endswith(".proto") or mode == _LINK.encode()):
                continue
            entry = _Entry(mode.decode(), id_.decode(), int(size), path)
            if entry.size > MAX_SOURCE:
                raise Unreadable(too_large(f"{commit[:12]}:{path}", entry.size))
            yield entry

    def _contents(self, entries: Iterable[_Entry]) -> Iterator[tuple[str, bytes]]:
        wanted = list(dict.fromkeys(entry.id for entry in entries))
        if not wanted:
            return
        done = _git(self.top, "cat-file", "--batch", stdin="\n".join([*wanted, ""]).encode())
        rest, at = done.stdout, 0
        for id_ in wanted:
            end = rest.find(b"\n", at)
            head = rest[at:end].split()
            if done.returncode != 0 or len(head) != 3:
                raise WrongUse(
                    f"git lacks the object {id_} ({_said(done)}): git fsck tells what is missing, "
                    "git fetch --refetch brings it"
                )
            size = int(head[2])
            yield id_, rest[end + 1 : end + 1 + size]
            at = end + size + 2

    def _linked(self, commit: str, path: str, link: bytes, folders: Sequence[str]) -> bytes:
        target = os.fsdecode(link)
        for _ in range(8):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            below = any(folder == "." or target.startswith(f"{folder}/") for folder in folders)
            if target.startswith(("/", "..")) or not below:
                break
            done = _git(self.top, "ls-tree", "-z", "--full-tree", commit, "--", target)
            mode, _, rest = done.stdout.partition(b" ")
            if not rest:
                raise Unreadable(f"{commit[:12]}:{path} is a link to {target}, which is not there")
            content = _git(self.top, "cat-file", "blob", f"{commit}:{target}")
            if content.returncode != 0:
                raise Unreadable(f"{commit[:12]}:{path} is a link to {target}, which is no file")
            if mode != _LINK.encode():
                if len(content.stdout) > MAX_SOURCE:
                    raise Unreadable(too_large(f"{commit[:12]}:{target}", len(content.stdout)))
                return content.stdout
            path, target = target, os.fsdecode(content.stdout)
        raise Unreadable(link_out(f"{commit[:12]}:{path}", target))


def _lines(text: bytes) -> Iterator[bytes]:
    """What git says of each object; of a link that leads nowhere, two lines, it says one here."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.split(b" ")[0] in (b"symlink", b"dangling", b"loop", b"notdir"):
            next(lines, None)
        yield line


def _is_hidden(path: str, folders: Sequence[str]) -> bool:
    """Whether a path is hidden in all of the folders that it is in; none stand for the top."""
    inner = [path[len(each) :] for each in folders if path.startswith(f"{each}/")]
    if not folders:
        inner = [f"/{path}"]
    return bool(inner) and all("/." in each for each in inner)


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - no shell, and no argument that git takes for an option
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=folder,
            input=stdin,
            capture_output=True,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )
    except OSError as error:
        raise WrongUse(f"git cannot be run: {error}") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[0] if lines else "it says nothing"
