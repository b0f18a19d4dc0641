"""How this program is called from a shell in this directory."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

NAME: Final = "meshpact"


def program() -> str:
    """`meshpact` where PATH finds one, else the path of the one beside this interpreter."""
    beside = Path(sys.executable).with_name(NAME)
    if shutil.which(NAME) is not None or not beside.exists():
        return NAME
    return short(beside)


def short(path: Path) -> str:
    """A path from this directory, or from the root when that is shorter."""
    relative = os.path.relpath(path)
    absolute = str(path.absolute())
    return relative if len(relative) < len(absolute) else absolute
