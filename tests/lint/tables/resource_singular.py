"""MP193: a message of which there are many is named in the singular."""

from __future__ import annotations

from typing import Final

from lint.cases import Case

FOUND = ("Orders is one of several and named in the plural",)


def _several(name: str, mark: str = "") -> str:
    return f"message Shop {{ repeated {name} all = 1; }} {mark}message {name} {{ int32 n = 1; }}"


CASES: Final = (
    Case("a plural in a repeated field is found", _several("Orders", "@@"), FOUND),
    Case("a singular is right", _several("Order")),
    Case("a plural that stands alone is right", "message Orders { int32 n = 1; }"),
    Case("a status is one", _several("OrderStatus")),
    Case("an address is one", _several("Address")),
    Case("settings are one thing", _several("Settings")),
    Case("news are one thing", _several("News")),
    Case("a series is one thing", _several("TimeSeries")),
    Case("an analysis is one thing", _several("Analysis")),
)
