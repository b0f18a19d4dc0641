"""The work that every variant does alike: the same requests, the same few steps in the handler."""

from __future__ import annotations

import random
from typing import Any, Final

from measure.v1 import measure_pb2 as pb
from measure.v1.measure_mesh import CHECK as CHECK
from measure.v1.measure_mesh import MEASURE_SERVICE as MEASURE_SERVICE
from measure.v1.measure_mesh import PASS as PASS
from measure.v1.measure_mesh import TALK as TALK
from measure.v1.measure_mesh import WATCH as WATCH

BARE: Final = "/measure.bare"
"""Paths below it are answered by plain grpcio."""
AGAIN: Final = "/measure.again"
"""The same once more, to see by how much two equal things differ here."""

SKU: Final = "85123A"
REQUEST: Final = pb.CheckRequest(
    request_id="0f8fad5b-d9cb-469f-a165-70867728950e",
    sku=SKU,
    quantity=6,
    price_millis=2550,
    country="GB",
)
BODY: Final = REQUEST.SerializeToString()
"""The request of every unary call; the same bytes are a PassRequest."""
ANSWER: Final = pb.CheckResponse(sku=SKU, total_millis=6 * 2550)
TIMEOUT: Final = 10.0
"""Seconds; less than the contract's maximum, as clients that know the contract send."""

Pairs = tuple[tuple[str, str], ...]


def checked(request: pb.CheckRequest) -> pb.CheckResponse:
    """What the handler of every unary variant does."""
    return pb.CheckResponse(sku=request.sku, total_millis=request.quantity * request.price_millis)


def passed(request: pb.PassRequest) -> pb.PassResponse:
    """The same, for the message without rules."""
    return pb.PassResponse(sku=request.sku, total_millis=request.quantity * request.price_millis)


def traces(sampled_of_ten: int, count: int = 1000) -> list[Pairs]:
    """Metadata of `count` calls from callers that sample so many of ten traces."""
    source = random.Random(20111101)
    made: list[Pairs] = []
    for number in range(count):
        trace_id, span_id = source.getrandbits(128) or 1, source.getrandbits(64) or 1
        flags = int(number % 10 < sampled_of_ten)
        made.append((("traceparent", f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"),))
    return made


def same_answer(body: Any) -> bool:
    """Whether a response's bytes are what every variant must answer."""
    return pb.CheckResponse.FromString(body) == ANSWER
