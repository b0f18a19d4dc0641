"""Sets the dashboard up: it signs analysts in, and calls the sales database for them."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from acme.marketing.sales.v1 import sales_pb2 as pb
from acme.marketing.sales.v1.sales_mesh import SALES_SERVICE, SalesServiceClient
from acme.retail.store.v1.store_mesh import STORE_SERVICE, StoreServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.mount import Servicer
from reference.marketing.web.live import Live
from reference.marketing.web.names import AGAIN, SOON, Names
from reference.marketing.web.windows import WINDOWS, chosen
from reference.web.app import Site
from reference.web.login import Login
from reference.web.streams import Streams

HERE = Path(__file__).parent
AUDIENCE = "marketing.acme.example"
LAST_EVENT = "last-event-id"


async def create(context: ServiceContext) -> list[Servicer]:
    """The factory that mesh.yaml names; it serves pages and takes no calls."""
    login = Login.of(context, scopes=["sales.read"], audience=AUDIENCE)
    site = Site(
        "Sales dashboard",
        origin=context.web_url,
        templates=HERE / "templates",
        static=HERE / "static",
        form_targets=[login.issuer.name],
    )
    sales = SalesServiceClient(context.channel("sales", services=[SALES_SERVICE]))
    names = Names(StoreServiceClient(context.channel("store", services=[STORE_SERVICE])))
    context.background("names of products", names.read, every=AGAIN, pause_at_most=SOON)
    pages = Pages(site, login, sales, names)
    await context.serve_web(
        site.app(
            [
                Route("/", pages.dashboard),
                Route("/totals", pages.totals),
                Route("/totals/room", pages.room),
                Route("/names", pages.names),
                *login.routes,
            ]
        )
    )
    return []


class Pages:
    """What the dashboard answers."""

    def __init__(self, site: Site, login: Login, sales: SalesServiceClient, names: Names) -> None:
        self._site = site
        self._login = login
        self._sales = sales
        self._names = names
        self._streams = Streams()

    async def dashboard(self, request: Request) -> Response:
        """The page, with the totals of countries as they are: readable without a script."""
        user = self._login.user(request)
        window = chosen(request.query_params.get("window", ""))
        answer = await self._sales.list_totals(
            pb.ListTotalsRequest(
                dimension=pb.DIMENSION_COUNTRY, window=window.message, page_size=1000
            ),
            token=await user.token(),
        )
        return self._site.page(
            request,
            "dashboard.html",
            {"window": window.name, "windows": WINDOWS, "totals": answer.totals},
        )

    async def totals(self, request: Request) -> Response:
        """Totals as events, from the last one that the browser has."""
        user = self._login.user(request)
        last = request.headers.get(LAST_EVENT, "")
        live = Live(
            self._sales,
            user,
            window=request.query_params.get("window", ""),
            after=int(last) if last.isascii() and last.isdigit() and len(last) < 19 else 0,
        )
        return self._streams.answer(user, live.events())

    async def room(self, request: Request) -> Response:
        """Whether `totals` would be answered now: browsers do not tell a page why it was not."""
        self._streams.check(self._login.user(request))
        return Response(status_code=204)

    async def names(self, request: Request) -> Response:
        """What products are called, by SKU."""
        self._login.user(request)
        return JSONResponse(self._names.by_sku)
