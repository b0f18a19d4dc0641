"""MP191: repeated fields are named in the plural."""

from __future__ import annotations

from typing import Final

from lint.cases import Case


def _field(written: str) -> str:
    return f"message Shop {{ {written} }}"


def _found(name: str) -> tuple[str]:
    return (f"{name} holds several and is named in the singular",)


def _right(*names: str) -> str:
    return _field(" ".join(f"repeated string {name} = {n};" for n, name in enumerate(names, 1)))


CASES: Final = (
    Case("one name for many is found", _field("@@repeated string sku = 1;"), _found("sku")),
    Case("so it is of messages", _field("@@repeated Shop branch = 1;"), _found("branch")),
    Case("an address is one", _field("@@repeated string address = 1;"), _found("address")),
    Case("a status is one", _field("@@repeated string status = 1;"), _found("status")),
    Case("plurals are right", _right("skus", "addresses", "statuses", "categories", "boxes")),
    Case("irregular ones, too", _right("children", "indices", "people", "criteria")),
    Case("words of one form are right", _right("stock", "series", "news", "data", "media")),
    Case("the plural may stand inside", _right("lines_of_code", "orders_by_customer")),
    Case("what is said of many is right", _right("rejected", "unreachable", "next_up", "missing")),
    Case("a vector of numbers is one thing", _field("repeated float embedding = 1;")),
    Case("a map is one thing", _field("map<string, string> label = 1;")),
    Case("one may be named as it is", _field("string sku = 1; string seconds = 2;")),
)
