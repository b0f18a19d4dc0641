"""Python's search for garbage, put off: contracts are hundreds of thousands of small things that
stay to the end of a run, and each search looks at all of them."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Generator[None]:
    """Python looks for no garbage inside."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
