"""What the portal answers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from acme.support.billing.v1.billing_mesh import BillingServiceClient
from reference.web.app import Site
from reference.web.login import Login


class Pages:
    """The pages and forms of the portal."""

    def __init__(self, site: Site, login: Login, billing: BillingServiceClient) -> None:
        self._site = site
        self._login = login
        self._billing = billing
        self.routes = [Route("/", self.home)]

    async def home(self, request: Request) -> Response:
        """Where a member of the staff begins."""
        self._login.user(request)
        return self._site.page(request, "base.html")
