"""The sales database in a mesh, and what a watcher of it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from acme.marketing.sales.v1 import sales_pb2 as pb
from acme.marketing.sales.v1.sales_mesh import SalesServiceClient
from meshpact.testing.mesh import LocalMesh
from salesfeed import Feed

AUDIENCE: Final = "marketing.acme.example"


class Marketing:
    """The sales database, fed by `feed`."""

    def __init__(self, mesh: LocalMesh, feed: Feed) -> None:
        self.mesh = mesh
        self.feed = feed

    @property
    def client(self) -> SalesServiceClient:
        return self.mesh.client(SalesServiceClient, as_="dashboard-web")

    def token(self, **options: Any) -> str:
        """An analyst's token, with what is laid over it."""
        issuer = next(
            each.issuer for each in self.mesh.config.issuers if AUDIENCE in each.audiences
        )
        given: dict[str, Any] = {
            "scopes": ["sales.read"],
            "groups": ["analyst"],
            "issuer": issuer,
            "audience": AUDIENCE,
        }
        return self.mesh.token("analyst-1", **(given | options))

    async def booked(self, revision: int) -> None:
        """Waits until everything up to a revision is booked."""
        view = View()
        async for answer in self.watch():
            view.take(answer)
            if view.revision >= revision:
                return

    def watch(self, after: int = 0, **window: Any) -> AsyncIterator[pb.WatchTotalsResponse]:
        """All totals, from a revision on."""
        request = pb.WatchTotalsRequest(
            dimensions=[pb.DIMENSION_COUNTRY, pb.DIMENSION_PRODUCT, pb.DIMENSION_HOUR],
            after_revision=after,
            **window,
        )
        return self.client.watch_totals(request, token=self.token())

    async def listed(self) -> dict[str, pb.Total]:
        """All totals by product, page by page."""
        found: dict[str, pb.Total] = {}
        token = ""
        while True:
            page = await self.client.list_totals(
                pb.ListTotalsRequest(dimension=pb.DIMENSION_PRODUCT, page_size=2, page_token=token),
                token=self.token(),
            )
            assert not found.keys() & {each.sku for each in page.totals}
            found |= {each.sku: each for each in page.totals}
            token = page.next_page_token
            if not token:
                return found


class View:
    """What a watcher holds: each total in place of the one before."""

    def __init__(self) -> None:
        self.totals: dict[tuple[str, object], pb.Total] = {}
        self.revision = 0

    def take(self, answer: pb.WatchTotalsResponse) -> None:
        for each in answer.totals:
            kind = str(each.WhichOneof("of"))
            value = getattr(each, kind)
            key = value.ToSeconds() if kind == "hour_time" else value
            self.totals[kind, key] = each
        if answer.complete:
            self.revision = answer.revision
