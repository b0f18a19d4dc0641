"""The calls of one method that run now, so that those of a denied identity can be ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshpact.interceptors import errors
from meshpact.interceptors.errors import StatusError
from meshpact.mesh.denials import Denials

if TYPE_CHECKING:
    from meshpact.interceptors.admission import Running

log = logging.getLogger("meshpact.guard")

Cut = Callable[["Running", Any, StatusError], None]
"""Ends a call from outside its handler: (call, what its adapter knows it by, why)."""


class Registry:
    """The running calls of one method. A call is in it from its admission to its end; whoever
    takes it out ends it, so that a call has one end even when several threads want to give it."""

    __slots__ = ("calls", "cut")

    def __init__(self) -> None:
        self.calls: dict[Running, Any] = {}
        """Each call, and what its adapter knows it by."""
        self.cut: Cut | None = None
        """The adapter's way to end one."""

    def cut_denied(self, denials: Denials) -> None:
        """Ends the calls whose callers are denied now. Any thread may ask for it."""
        for call, handle in self.calls.copy().items():
            if self.cut is not None and denials.refuses(call.info.caller.workload, call.serial):
                try:
                    self.cut(call, handle, denied())
                except Exception:  # the others must end all the same
                    log.exception("%s: the call of a denied identity goes on", call.info.method)


def denied() -> StatusError:
    """The refusal of a caller that mesh.yaml denies."""
    return StatusError(
        errors.IDENTITY_DENIED.code,
        "Permission denied: this identity is denied",
        reason=errors.IDENTITY_DENIED.name,
        domain=errors.DOMAIN,
    )
