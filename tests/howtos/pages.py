"""What stands on a page of docs/how-to, as a reader types it."""

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """The blocks of one language ("" for none), in order."""
    found = _BLOCK.findall((PAGES / f"{page}.md").read_text())
    return [body for name, body in found if name == language]
