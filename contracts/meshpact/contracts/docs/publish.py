"""`meshpact docs`: contracts to pages on the disk, in one of three forms.

What an earlier run wrote and this one does not is removed; whatever else lies there is left alone.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from meshpact.contracts.docs import html, markdown, openapi
from meshpact.contracts.docs.collect import View, collect
from meshpact.contracts.docs.coverage import Coverage, measure
from meshpact.contracts.docs.known import Known
from meshpact.contracts.docs.mesh import MeshView
from meshpact.contracts.faults import WrongUse
from meshpact.contracts.image import compile_image
from meshpact.contracts.model import Contracts
from meshpact.contracts.writing import alone, write

RECORD: Final = ".meshpact-docs.json"
"""The file that says what was written: path -> SHA-256, by form."""
TITLE: Final = "Contracts"


class Form(enum.Enum):
    """What is written."""

    HTML = "html"
    MARKDOWN = "markdown"
    OPENAPI = "openapi"


@dataclass(frozen=True)
class Published:
    """What a run did; paths are relative to `out`."""

    out: Path
    form: Form
    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    coverage: Coverage
    invalid_examples: tuple[str, ...]
    """Messages for which no example was found that keeps to all rules."""

    def as_json(self) -> dict[str, object]:
        """As `--json` prints it."""
        return {
            "out": str(self.out),
            "format": self.form.value,
            "written": list(self.written),
            "removed": list(self.removed),
            "unchanged": self.unchanged,
            "invalid_examples": list(self.invalid_examples),
            "coverage": self.coverage.as_json(),
        }


def coverage(protos: Sequence[Path], includes: Sequence[Path] = ()) -> Coverage:
    """How much of the contracts below `protos` has a comment. ContractsError, WrongUse."""
    return measure(Contracts(compile_image(protos, includes)))


def publish(
    protos: Sequence[Path],
    out: Path,
    form: Form = Form.HTML,
    *,
    includes: Sequence[Path] = (),
    mesh: Path | None = None,
    title: str = "",
) -> Published:
    """Write the pages of the contracts below `protos` to the folder `out`.

    All or nothing. Raises ContractsError, MeshFileError, and WrongUse where a file that is not
    ours stands in the way.
    """
    image = compile_image(protos, includes)
    contracts, known = Contracts(image), Known(image)
    view: View | None = MeshView(mesh, image) if mesh is not None else None
    site = collect(contracts, view, known)
    found = measure(contracts)
    title = title or TITLE
    if form is Form.HTML:
        files = html.pages(site, found, title)
    elif form is Form.MARKDOWN:
        files = markdown.pages(site, found, title)
    else:
        files = openapi.pages(site, found, title, contracts, known)
    with alone(out):
        written, removed = _put(out, form, files)
    invalid = sorted(
        message.full_name
        for package in site.packages
        for message in package.messages
        if not message.example.valid
    )
    unchanged = len(files) - len(written)
    return Published(out, form, written, removed, unchanged, found, tuple(invalid))


def _put(out: Path, form: Form, files: Mapping[str, bytes]) -> tuple[tuple[str, ...], ...]:
    record = _record(out)
    before = record.get(form.value, {})
    now = {path: _digest(content) for path, content in sorted(files.items())}
    for path in now:
        _may_write(out, path, before, now[path])
    written = tuple(path for path in now if _there(out / path) != now[path])
    removed = tuple(
        path
        for path, digest in sorted(before.items())
        if path not in now and _there(out / path) == digest
    )
    _record_as(out, record, both := {**record, form.value: {**before, **now}})
    write(out, {path: files[path] for path in written}, removed)
    _record_as(out, both, {**record, form.value: now})
    return written, removed


def _record_as(
    out: Path, record: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> None:
    """Write the record anew. It names a page before that is there, and after it is gone: whatever
    ends a run, the next one knows what is ours."""
    if after != record:
        content = msgspec.json.format(msgspec.json.encode(after), indent=2) + b"\n"
        write(out, {RECORD: content}, ())


def _may_write(out: Path, path: str, before: Mapping[str, str], digest: str) -> None:
    there = _there(out / path)
    if there is not None and path not in before and there != digest:
        raise WrongUse(
            f"{out / path} is there and was not written by an earlier run: give another folder "
            "with --out, or move the file away"
        )


def _record(out: Path) -> dict[str, dict[str, str]]:
    path = out / RECORD
    if out.exists() and not out.is_dir():
        raise WrongUse(f"{out} is a file: give a folder with --out")
    if not path.exists():
        return {}
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, str]])
    except msgspec.DecodeError as error:
        raise WrongUse(f"{path} is broken ({error}): remove the folder, or the file") from None
    for files in found.values():
        for each in files:
            pure = PurePosixPath(each)
            if pure.is_absolute() or ".." in pure.parts:
                raise WrongUse(f"{path} names {each!r}, outside of the folder: remove the file")
    return found


def _there(path: Path) -> str | None:
    """The digest of a file, None where there is none."""
    return _digest(path.read_bytes()) if path.is_file() and not path.is_symlink() else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
