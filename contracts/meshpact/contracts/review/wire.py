"""What buf breaking says of two images: whether what was sent and generated still fits."""

from __future__ import annotations

from typing import Final

from meshpact.contracts.buf import breaking
from meshpact.contracts.faults import Fault
from meshpact.contracts.image import Image
from meshpact.contracts.review.model import Change, Delta, Impact, Touch

CATEGORIES: Final = ("FILE", "PACKAGE", "WIRE_JSON", "WIRE")
"""buf's, the strictest first."""


def wire_change(fault: Fault, touched: tuple[Touch, ...]) -> Change:
    """What buf found, in its words."""
    return Change(Delta(fault.subject, Impact.BREAKS, fault.message), "", fault.place, touched)


def wire_faults(old: Image, new: Image, category: str) -> list[Fault]:
    """Everything that buf finds; "" as category leaves it out."""
    return breaking(new, old, category) if category else []
