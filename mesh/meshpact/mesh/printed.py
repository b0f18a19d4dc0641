"""Texts from elsewhere, as they may be shown: they give no orders to a terminal or a log."""

from __future__ import annotations


def printed(text: str, keep: str = "") -> str:
    """The text with every character that does not print as its escape (a line feed as `\\n`, an
    escape as `\\x1b`), but for those in `keep`."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )
