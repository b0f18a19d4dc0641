"""Channels to the services of the mesh, and what a failed call raises."""

from __future__ import annotations

from meshpact.clients.aio import Channel
from meshpact.clients.errors import CallError
from meshpact.clients.following import Rotation
from meshpact.clients.sync import ChannelSync

__all__ = ["CallError", "Channel", "ChannelSync", "Rotation"]
