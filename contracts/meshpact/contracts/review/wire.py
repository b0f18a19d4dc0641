"""What buf breaking says of two images: whether what was sent and generated still fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from meshpact.contracts.buf import breaking
from meshpact.contracts.image import Image
from meshpact.contracts.review.model import Change, Delta, Impact

CATEGORIES: Final = ("FILE", "PACKAGE", "WIRE_JSON", "WIRE")
"""buf's, the strictest first."""


def wire_changes(old: Image, new: Image, category: str) -> Iterator[Change]:
    """Everything that buf finds, in its words."""
    for fault in breaking(new, old, category):
        yield Change(Delta(fault.subject, Impact.BREAKS, fault.message), "", fault.place)
