"""MP113: `unauthenticated` says in words why anyone may call."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method


def _door(reason: str, mark: str = "@@") -> str:
    return method("Get", f'access: {{ unauthenticated: {{ {mark}reason: "{reason}" }} }}')


CASES: Final = (
    Case(
        "a sentence is a reason", _door("load balancers probe it before they have an identity", "")
    ),
    Case("three words may do", _door("public price list", "")),
    Case("TODO is none", _door("TODO"), ("'TODO' is no reason why anyone may call",)),
    Case(
        "TODO with words after it is none",
        _door("TODO: ask the security team"),
        ("'TODO: ask the security team' is no reason why anyone may call",),
    ),
    Case("a dash is none", _door("-"), ("'-' is no reason why anyone may call",)),
    Case("one word is none", _door("public"), ("'public' is no reason why anyone may call",)),
    Case(
        "stand-ins alone are none",
        _door("this is a test"),
        ("'this is a test' is no reason why anyone may call",),
    ),
    Case("words of other scripts count", _door("öffentliche Preisliste für alle", "")),
)
