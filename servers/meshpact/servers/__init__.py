"""Serving a contract: assembly under the guard, health, reflection, drain.

What is named here is imported when it is first used: the supervisor of a mesh lives in this room
too, and starts faster without grpc.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from meshpact.servers.aio import Server
    from meshpact.servers.drain import Drain
    from meshpact.servers.errors import ServerError, UnguardedError
    from meshpact.servers.options import Limits
    from meshpact.servers.sync import ServerSync

__all__ = ["Drain", "Limits", "Server", "ServerError", "ServerSync", "UnguardedError"]

_MODULES: Final = {
    "Drain": "drain",
    "Limits": "options",
    "Server": "aio",
    "ServerError": "errors",
    "ServerSync": "sync",
    "UnguardedError": "errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
