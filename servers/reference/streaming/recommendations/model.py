"""The model: for each title its age, and the titles most like it; and what is popular.

It is a file of plain arrays (numpy's npz, never pickles), written whole. What is read is checked in
form, size and bounds before it serves: a file that is not what training writes is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import time
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

# Before numpy is loaded: its algebra would start a thread for each processor.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from meshpact.certs.files import private_directory, write_whole

FORM: Final = 1
"""Another form of file is not read, but made anew."""
MOST_BYTES: Final = 256 * 1024 * 1024
LEFT: Final = 3600.0
"""Seconds after which a half written file is nobody's any more."""
CURRENT: Final = "current.json"
_VERSION: Final = re.compile(r"[0-9]{1,9}-[0-9a-f]{12}")
_TITLE: Final = re.compile(r"s[0-9]{1,9}")

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]


class ModelError(ValueError):
    """A model file is not what it should be; says why."""


class Arrays(NamedTuple):
    """What training finds, for n titles: `ids` their identifiers, `ages` from when each is allowed,
    `alike` (n, k) the rows of the k titles most like each, the most alike first, `how` (n, k) by
    how much, from 0 to 1, and `popular` all rows, the most popular first."""

    ids: NDArray[np.str_]
    ages: Ints
    alike: Ints
    how: Floats
    popular: Ints


class Model:
    """A model in memory. `version` is its number and the digest of its file, `catalog` the version
    of the catalog it was made from, `popularity` how many titles had been finished or liked."""

    def __init__(self, version: str, catalog: str, popularity: int, arrays: Arrays) -> None:
        self.version = version
        self.catalog = catalog
        self.popularity = popularity
        self.ids: list[str] = arrays.ids.tolist()
        self.ages: list[int] = arrays.ages.tolist()
        self.popular: list[int] = arrays.popular.tolist()
        self.rows = {title_id: row for row, title_id in enumerate(self.ids)}
        self._alike = arrays.alike
        self._how = arrays.how

    @property
    def number(self) -> int:
        """1 for the first model, one more for each after it."""
        return int(self.version.partition("-")[0])

    def like(self, row: int) -> list[tuple[int, float]]:
        """The titles most like one, and by how much, the most alike first."""
        return list(zip(self._alike[row].tolist(), self._how[row].tolist(), strict=True))


def save(folder: Path, number: int, catalog: str, popularity: int, arrays: Arrays) -> str:
    """Writes a model and makes it the current one; its version. The one before it is kept, older
    ones are removed."""
    _check(arrays)
    facts = {"form": FORM, "catalog": catalog, "popularity": popularity}
    into = io.BytesIO()
    np.savez(into, facts=np.array(json.dumps(facts)), **arrays._asdict())
    data = into.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    version = f"{number}-{digest[:12]}"
    private_directory(folder)
    try:
        before = _pointer(folder)
    except ModelError:
        before = None
    write_whole(_file(folder, version), data)
    pointer = {"version": version, "sha256": digest}
    write_whole(folder / CURRENT, json.dumps(pointer).encode())
    kept = {version, before[0] if before else ""}
    for path in folder.glob("model-*.npz"):
        if path.stem.removeprefix("model-") not in kept:
            path.unlink(missing_ok=True)
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > LEFT:
                path.unlink()
    return version


def load(folder: Path) -> Model | None:
    """The current model; None when there is none. Raises ModelError when it cannot be used."""
    found = _pointer(folder)
    if found is None:
        return None
    version, digest = found
    path = _file(folder, version)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelError(f"{path} is larger than {MOST_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise ModelError(f"{path} is not the file that {CURRENT} names: its SHA-256 differs")
    return _parsed(path, version, data)


def _pointer(folder: Path) -> tuple[str, str] | None:
    try:
        text = (folder / CURRENT).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{folder / CURRENT} cannot be read: {error}") from error
    try:
        found = json.loads(text)
        version, digest = str(found["version"]), str(found["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / CURRENT} is no JSON with version and sha256") from error
    if not _VERSION.fullmatch(version):
        raise ModelError(f"{folder / CURRENT}: {version[:40]!r} is no version of a model")
    return version, digest


def _file(folder: Path, version: str) -> Path:
    return folder / f"model-{version}.npz"


def _parsed(path: Path, version: str, data: bytes) -> Model:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            facts = cast("dict[str, Any]", json.loads(str(found["facts"])))
            arrays = Arrays(*(found[name] for name in Arrays._fields))
        if facts["form"] != FORM:
            raise ModelError(f"it has the form {facts['form']}; this program reads {FORM}")
        _check(arrays)
        return Model(version, str(facts["catalog"]), int(facts["popularity"]), arrays)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except Exception as error:
        raise ModelError(f"{path} is no model: {error}") from error


def _check(arrays: Arrays) -> None:
    count = len(arrays.ids)
    near = arrays.alike.shape[1] if arrays.alike.ndim == 2 else 0
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "ids": ("U", (count,)),
        "ages": ("i4", (count,)),
        "alike": ("i4", (count, near)),
        "how": ("f4", (count, near)),
        "popular": ("i4", (count,)),
    }
    for name, (kind, shape) in expected.items():
        array = cast("NDArray[Any]", getattr(arrays, name))
        if array.dtype.str[1:3] != kind and not (kind == "U" and array.dtype.kind == "U"):
            raise ModelError(f"{name} holds {array.dtype}")
        if array.shape != shape:
            raise ModelError(f"{name} has the shape {array.shape}, not {shape}")
    if not count or not near:
        raise ModelError("it has no titles")
    ids = cast("list[str]", arrays.ids.tolist())
    if len(set(ids)) != count or not all(map(_TITLE.fullmatch, ids)):
        raise ModelError("ids are not all identifiers of titles, each once")
    if arrays.alike.min() < 0 or arrays.alike.max() >= count:
        raise ModelError("alike names rows that are not there")
    if sorted(arrays.popular.tolist()) != list(range(count)):
        raise ModelError("popular does not name each row once")
    if not np.isfinite(arrays.how).all() or arrays.how.min() < 0 or arrays.how.max() > 1.001:
        raise ModelError("how is not from 0 to 1")
