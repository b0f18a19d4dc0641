"""What the service hands to a training: how often titles were finished or liked, and the titles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from acme.streaming.catalog.v1 import catalog_pb2 as pb


def head(popularity: Mapping[str, int]) -> bytes:
    """The beginning: a line of JSON."""
    return json.dumps(popularity).encode() + b"\n"


def body(titles: Sequence[pb.Title]) -> bytes:
    """Some titles, each behind four bytes with its length."""
    parts: list[bytes] = []
    for title in titles:
        raw = title.SerializeToString()
        parts += [len(raw).to_bytes(4), raw]
    return b"".join(parts)


def read(stream: BinaryIO) -> tuple[dict[str, int], list[pb.Title]]:
    """What `head` and `body` wrote."""
    return json.loads(stream.readline()), list(_titles(stream))


def _titles(stream: BinaryIO) -> Iterator[pb.Title]:
    while size := stream.read(4):
        yield pb.Title.FromString(stream.read(int.from_bytes(size)))
