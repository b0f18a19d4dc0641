"""What a member of the staff may give back on one invoice without a supervisor: the settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

LIMITS: Final[Mapping[str, Mapping[str, int]]] = {
    "agent": {"GBP": 50_00},
    "supervisor": {"GBP": 500_00},
}
"""Minor units by group of the end user's token and currency. What is not here is nothing: then a
supervisor decides on every refund.
"""


def limit(groups: Iterable[str], currency: str) -> int:
    """The largest limit of any of the groups, in minor units."""
    return max((LIMITS.get(group, {}).get(currency, 0) for group in groups), default=0)
