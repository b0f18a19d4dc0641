"""Sets the portal up: it signs members of the staff in, and calls billing for them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from acme.support.billing.v1.billing_mesh import BILLING_SERVICE, BillingServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.mount import Servicer
from reference.support.web.forms import Forms
from reference.support.web.pages import Pages
from reference.web.app import Site
from reference.web.login import Login

HERE: Final = Path(__file__).parent
AUDIENCE: Final = "support.acme.example"
SCOPES: Final = ("billing.read", "billing.refund", "billing.approve")


async def create(context: ServiceContext) -> list[Servicer]:
    """The factory that mesh.yaml names; it serves pages and takes no calls."""
    login = Login.of(context, scopes=SCOPES, audience=AUDIENCE)
    site = Site(
        "Support",
        origin=context.web_url,
        templates=HERE / "templates",
        static=HERE / "static",
        form_targets=[login.issuer.name],
    )
    billing = BillingServiceClient(context.channel("billing", services=[BILLING_SERVICE]))
    pages = Pages(site, login, billing)
    forms = Forms(login, billing, pages)
    await context.serve_web(site.app([*pages.routes, *forms.routes, *login.routes]))
    return []
