"""Sets the page up: the sign-in, the ways to catalog, recommendations and profiles, the routes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from acme.identity.v1.identity_mesh import PROFILE_SERVICE, ProfileServiceClient
from acme.streaming.catalog.v1.catalog_mesh import CATALOG_SERVICE, CatalogServiceClient
from acme.streaming.recommendations.v1.recommendations_mesh import (
    RECOMMENDATION_SERVICE,
    RecommendationServiceClient,
)
from meshpact.servers.context import ServiceContext
from reference.streaming.web.pages import Mesh, Pages
from reference.web.app import Site
from reference.web.login import Login

HERE: Final = Path(__file__).parent
AUDIENCE: Final = "streaming.acme.example"
SCOPES: Final = ("streaming.read", "streaming.watch", "profiles.read", "profiles.write")


async def create(context: ServiceContext) -> list[object]:
    """The factory that mesh.yaml names: it serves pages, and no calls."""
    login = Login.of(context, scopes=SCOPES, audience=AUDIENCE)
    site = Site(
        "Streaming",
        origin=context.web_url,
        templates=HERE / "templates",
        static=HERE / "static",
        form_targets=[login.issuer.name],
    )
    mesh = Mesh(
        CatalogServiceClient(context.channel("catalog", services=[CATALOG_SERVICE])),
        RecommendationServiceClient(
            context.channel("recommendations", services=[RECOMMENDATION_SERVICE])
        ),
        ProfileServiceClient(context.channel("identity", services=[PROFILE_SERVICE])),
    )
    pages = Pages(site, login, mesh)
    await context.serve_web(site.app([*pages.routes, *login.routes]))
    return []
