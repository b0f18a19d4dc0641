"""W3C trace context (https://www.w3.org/TR/trace-context/): the header, read and written."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_IDS: Final = "(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_valid: Final = re.compile(f"00-{_IDS}|(?!00|ff)[0-9a-f]{{2}}-{_IDS}(?:-.*)?").fullmatch


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """Where a call stands in its trace: IDs as 32 and 16 lower-case hex digits."""

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The header for calls made from here."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def is_traceparent(header: str) -> bool:
    """Whether a header is a valid `traceparent` of version 00, or of a later one."""
    return _valid(header) is not None


def is_sampled(traceparent: str) -> bool:
    """The sampled flag of a valid header."""
    return int(traceparent[54], 16) & 1 == 1


def parse_traceparent(header: str, state: str = "") -> TraceContext | None:
    """The trace context of a header, None when it is not valid."""
    if not is_traceparent(header):
        return None
    return TraceContext(header[3:35], header[36:52], is_sampled(header), state)
