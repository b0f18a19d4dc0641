"""Somebody who watches, and what their events say."""

from __future__ import annotations

import time
import uuid
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from acme.identity.v1 import identity_pb2
from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import RecommendationServiceClient
from streamingmesh import ADULTS, Streaming, opening, session


class Watcher:
    """Somebody who watches; with a profile of their own in each test."""

    def __init__(
        self, streaming: Streaming, limit: identity_pb2.MaturityLimit.ValueType = ADULTS
    ) -> None:
        self.client = streaming.mesh.client(RecommendationServiceClient, as_="streaming-web")
        self.user = f"watcher-{uuid.uuid4()}"
        self.profile = streaming.profiles.add(self.user, limit)
        self.token = streaming.token(self.user)

    async def listed(self, **asked: Any) -> pb.ListRecommendationsResponse:
        request = pb.ListRecommendationsRequest(profile_id=self.profile, **asked)
        return await self.client.list_recommendations(request, token=self.token)

    async def watch(self, *events: pb.WatchRequest, token: str = "") -> list[pb.WatchResponse]:
        messages = session(opening(self.profile), *events)
        return [each async for each in self.client.watch(messages, token=token or self.token)]

    async def history(self, **asked: Any) -> pb.ListHistoryResponse:
        request = pb.ListHistoryRequest(profile_id=self.profile, **asked)
        return await self.client.list_history(request, token=self.token)

    async def forget(self) -> int:
        request = pb.DeleteHistoryRequest(profile_id=self.profile)
        return (await self.client.delete_history(request, token=self.token)).deleted_titles


def at(seconds: float) -> Timestamp:
    """So many seconds from now."""
    stamp = Timestamp()
    stamp.FromMicroseconds(int((time.time() + seconds) * 1e6))
    return stamp


def position(seconds: int) -> pb.PlaybackPosition:
    return pb.PlaybackPosition(position=Duration(seconds=seconds))
