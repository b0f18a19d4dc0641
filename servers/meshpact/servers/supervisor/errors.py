"""What stops a mesh from running, in words for the person who started it."""

from __future__ import annotations


class UpError(Exception):
    """The mesh cannot run. `exit_code` is 2 for wrong use (a fault in what was asked), else 1."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
