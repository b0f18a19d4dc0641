"""A generated client of the demo contract over a server of plain grpcio, without TLS."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import grpc.aio

import bareserver
from demo.v1 import demo_mesh
from meshpact.clients import Channel


@contextlib.asynccontextmanager
async def client(**handlers: Any) -> AsyncGenerator[demo_mesh.DemoServiceClient]:
    async with (
        bareserver.serving(handlers) as address,
        Channel.over(grpc.aio.insecure_channel(address), address) as channel,
    ):
        yield demo_mesh.DemoServiceClient(channel)
