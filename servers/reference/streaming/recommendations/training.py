"""`python -m reference.streaming.recommendations.training FOLDER NUMBER CATALOG`: makes a model.

It runs as a process of its own, so that it neither stalls the calls of the service nor leaves its
memory behind. Standard input has what `trainingdata` wrote; standard output gets the version. It
ends when nobody reads that any more: a service that was killed must find nobody else at its models.
"""

from __future__ import annotations

import importlib
import os
import select
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from acme.streaming.catalog.v1 import catalog_pb2 as pb
from reference.streaming.recommendations.model import Arrays, Floats, Ints, save
from reference.streaming.recommendations.trainingdata import read
from reference.streaming.words import words

NEAR: Final = 60
"""Titles that are remembered as like a title."""
AT_ONCE: Final = 256
"""Titles that are compared with all others at once."""
WEIGHTS: Final[Mapping[str, float]] = {
    "genres": 1.0,
    "actors": 0.9,
    "directors": 0.7,
    "name": 0.6,
    "countries": 0.4,
}
"""How much each field says about likeness."""
NICE: Final = 10
UNREAD: Final = 70
"""The exit code when nobody waits for the model."""


def train(titles: Sequence[pb.Title], popularity: Mapping[str, int]) -> Arrays:
    """The model of a catalog: cosine likeness of TF-IDF over genres, people, name and countries."""
    features = _features(titles)
    count = len(titles)
    near = min(NEAR, count - 1)
    alike = np.zeros((count, near), dtype=np.int32)
    how = np.zeros((count, near), dtype=np.float32)
    turned = features.T.tocsr()
    for start in range(0, count, AT_ONCE):
        block: Floats = (features[start : start + AT_ONCE] @ turned).toarray()
        here = np.arange(len(block))
        block[here, here + start] = -1.0  # a title is not like itself
        best = np.argpartition(-block, near - 1, axis=1)[:, :near]
        order = np.argsort(-np.take_along_axis(block, best, axis=1), axis=1, kind="stable")
        rows: Ints = np.take_along_axis(best, order, axis=1).astype(np.int32)
        alike[start : start + AT_ONCE] = rows
        how[start : start + AT_ONCE] = np.take_along_axis(block, rows, axis=1)
    return Arrays(
        ids=np.array([title.title_id for title in titles]),
        ages=np.array([title.minimum_age for title in titles], dtype=np.int32),
        alike=alike,
        how=np.clip(how, 0.0, 1.0),
        popular=_popular(titles, popularity),
    )


def _features(titles: Sequence[pb.Title]) -> Any:
    # Neither has types.
    sparse: Any = importlib.import_module("scipy.sparse")
    text: Any = importlib.import_module("sklearn.feature_extraction.text")
    preprocessing: Any = importlib.import_module("sklearn.preprocessing")
    parts: list[Any] = []
    for field, weight in WEIGHTS.items():
        said = [_said(title, field) for title in titles]
        if any(said):
            weigher = text.TfidfVectorizer(analyzer=_as_it_is, sublinear_tf=True, dtype=np.float32)
            parts.append(weigher.fit_transform(said) * weight)
    return preprocessing.normalize(sparse.hstack(parts, format="csr"))


def _as_it_is(said: list[str]) -> list[str]:
    return said


def _said(title: pb.Title, field: str) -> list[str]:
    if field == "name":
        return words(title.display_name)
    said: Sequence[str] = getattr(title, field)
    return list(said)


def _popular(titles: Sequence[pb.Title], popularity: Mapping[str, int]) -> Ints:
    def key(row: int) -> tuple[int, int, int, int, int]:
        title, added = titles[row], titles[row].add_date
        often = popularity.get(title.title_id, 0)
        return -often, -added.year, -added.month, -added.day, row

    return np.array(sorted(range(len(titles)), key=key), dtype=np.int32)


def main(folder: str, number: str, catalog: str) -> None:
    """Reads, trains, saves; prints the version."""
    os.nice(NICE)
    threading.Thread(target=_end_with_reader, args=(sys.stdout.fileno(),), daemon=True).start()
    popularity, titles = read(sys.stdin.buffer)
    arrays = train(titles, popularity)
    version = save(Path(folder), int(number), catalog, sum(popularity.values()), arrays)
    sys.stdout.write(version + "\n")


def _end_with_reader(output: int) -> None:
    """Ends this process when what it writes to is a pipe whose other end has been closed."""
    poll = select.poll()
    poll.register(output, 0)  # errors are always told
    poll.poll()
    os._exit(UNREAD)


if __name__ == "__main__":
    main(*sys.argv[1:])
