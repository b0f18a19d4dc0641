"""The expressions of GitHub Actions, as far as the templates use them; anything else is an error.

Source: "Evaluate expressions in workflows and actions" of GitHub.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

Contexts = Mapping[str, Any]
"""By name: inputs, github, runner, steps."""

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_TOKEN = re.compile(r"\s*(&&|\|\||==|!=|!|\(|\)|'(?:[^']|'')*'|[A-Za-z_][\w.-]*)")


def expand(text: str, contexts: Contexts) -> str:
    """A text with every `${{ }}` replaced by its value."""
    return _EXPRESSION.sub(lambda match: _text(evaluate(match[1], contexts)), text)


def holds(condition: str, contexts: Contexts) -> bool:
    """Whether an `if` holds; the braces may be left out."""
    match = _EXPRESSION.fullmatch(condition)
    return bool(evaluate(match[1] if match else condition, contexts))


def evaluate(expression: str, contexts: Contexts) -> object:
    """The value of what stands between the braces."""
    tokens, at = list[str](), 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"not understood: {expression[at:]!r}")
        tokens.append(match[1])
        at = match.end()
    value = _either(tokens, contexts)
    if tokens:
        raise ValueError(f"not understood: {tokens}")
    return value


def _either(tokens: list[str], contexts: Contexts) -> object:
    value = _both(tokens, contexts)
    while tokens[:1] == ["||"]:
        tokens.pop(0)
        other = _both(tokens, contexts)
        value = value or other
    return value


def _both(tokens: list[str], contexts: Contexts) -> object:
    value = _compared(tokens, contexts)
    while tokens[:1] == ["&&"]:
        tokens.pop(0)
        other = _compared(tokens, contexts)
        value = value and other
    return value


def _compared(tokens: list[str], contexts: Contexts) -> object:
    value = _single(tokens, contexts)
    while tokens[:1] in (["=="], ["!="]):
        equal = tokens.pop(0) == "=="
        value = (_text(value) == _text(_single(tokens, contexts))) == equal
    return value


def _single(tokens: list[str], contexts: Contexts) -> object:
    token = tokens.pop(0)
    if token == "!":
        return not _single(tokens, contexts)
    if token == "(":
        value = _either(tokens, contexts)
        assert tokens.pop(0) == ")"
        return value
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    if tokens[:2] == ["(", ")"]:
        del tokens[:2]
        return {"always": True, "cancelled": False}[token]
    found: Any = contexts
    for index, name in enumerate(token.split(".")):
        if index == 0 or name in found:
            found = found[name]
        else:  # what is not there is empty, as in Actions; a context that is not there is a mistake
            return ""
    return cast("object", found)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
