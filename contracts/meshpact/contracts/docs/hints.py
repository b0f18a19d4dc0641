"""What CEL rules ask of the fields of a message, as far as it is written plainly.

`this.currency == 'GBP'`, `this.minor_units >= 0`, `this.starts < this.ends`: enough to make an
example that keeps to most rules. Whether it does is judged by protovalidate afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_COMPARISON: Final = re.compile(
    r"this((?:\.\w+)*)\s*(==|>=|<=|>|<)\s*"
    r"(?:this((?:\.\w+)+)|'([^'\\]*)'|\"([^\"\\]*)\"|(-?\d+(?:\.\d+)?)u?|(true|false))"
)
_MULTIPLE: Final = re.compile(r"this((?:\.\w+)*)\s*%\s*\d+u?\s*==\s*0")


@dataclass(frozen=True)
class Hint:
    """`path OP value`; with `other` the value is that of another field."""

    path: tuple[str, ...]
    operator: str
    value: Any = None
    other: tuple[str, ...] = ()


def of(rules: Any) -> Iterator[Hint]:
    """The hints of FieldRules or MessageRules; None has none."""
    if rules is None:
        return
    expressions = [rule.expression for rule in rules.cel]
    expressions += getattr(rules, "cel_expression", ())
    for expression in expressions:
        for match in _COMPARISON.finditer(expression):
            path, operator, other, single, double, number, truth = match.groups()
            value: Any = single if single is not None else double
            if number is not None:
                value = float(number) if "." in number else int(number)
            elif truth is not None:
                value = truth == "true"
            yield Hint(_path(path), operator, value, _path(other or ""))
    for expression in expressions:
        for match in _MULTIPLE.finditer(expression):
            yield Hint(_path(match[1]), "==", 0)


def wanted(hint: Hint, value: Any, current: Any) -> Any:
    """The value nearest to `current` that is in the asked relation to `value`."""
    step = 0.5 if isinstance(current, float) else 1
    if hint.operator == "==":
        return value
    if isinstance(value, str | bytes | bool) or isinstance(current, str | bytes | bool):
        return current
    if hint.operator in (">", ">="):
        least = value + step if hint.operator == ">" else value
        return max(current, least)
    most = value - step if hint.operator == "<" else value
    return min(current, most)


def _path(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(".")))
