"""What generated code takes from the client side; nothing else is promised to it."""

from __future__ import annotations

from meshpact.clients.aio import Channel
from meshpact.clients.sync import ChannelSync
from meshpact.interceptors.call import MetadataPairs as Metadata
from meshpact.interceptors.errors import Code, ContractError
from meshpact.interceptors.spec import MethodSpec, ServiceSpec

__all__ = [
    "Channel",
    "ChannelSync",
    "Code",
    "ContractError",
    "Metadata",
    "MethodSpec",
    "ServiceSpec",
]
