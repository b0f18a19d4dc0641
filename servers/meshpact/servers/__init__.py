"""Serving a contract: assembly under the guard, health, reflection, drain."""

from __future__ import annotations

from meshpact.servers.aio import Server
from meshpact.servers.drain import Drain
from meshpact.servers.errors import ServerError, UnguardedError
from meshpact.servers.options import Limits
from meshpact.servers.sync import ServerSync

__all__ = ["Drain", "Limits", "Server", "ServerError", "ServerSync", "UnguardedError"]
