"""Ends a call of grpc.server at once, from a thread that is not its handler's.

grpc has no public way to: `abort` only raises where the handler runs. So this reaches into the
state of grpc's own context, as its `_abort` does for requests that cannot be parsed; from then on
grpc treats the call as one whose client has gone. Where that state is not there, the call is
cancelled, and its caller sees no reason.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from meshpact.interceptors.status import Ending

_server: Final[Any] = importlib.import_module("grpc._server")
_abort: Final = getattr(_server, "_abort", None)
_GONE: Final = getattr(_server, "_CANCELLED", None)


def end_now(context: Any, ending: Ending) -> None:
    """Sends the status that ends a call, unless it has ended already."""
    state, event = getattr(context, "_state", None), getattr(context, "_rpc_event", None)
    if _abort is None or _GONE is None or state is None or event is None:
        context.cancel()
        return
    with state.condition:
        if not context.is_active():
            return
        state.code = ending.code
        state.details = ending.details.encode()
        state.trailing_metadata = tuple(ending.trailing)
        _abort(state, event.call, ending.code.value[0], b"")
        state.client = _GONE
        state.condition.notify_all()
