"""The programs on the pages, as a reader types them."""

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def programs(page: str) -> list[str]:
    """The Python of a page, in order."""
    text = (PAGES / f"{page}.md").read_text()
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def program(page: str, number: int) -> str:
    """One program of a page, counted from 0."""
    return programs(page)[number]
