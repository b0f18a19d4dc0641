"""Sets the catalog up: its database, its titles, the way to identity."""

from __future__ import annotations

from pathlib import Path

from acme.identity.v1.identity_mesh import PROFILE_SERVICE, ProfileServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.opening import open_database
from reference.streaming.catalog.filling import fill
from reference.streaming.catalog.service import CatalogService
from reference.streaming.dataset import rows
from reference.streaming.profiles import Profiles

MIGRATIONS = Path(__file__).parent / "migrations"


async def create(context: ServiceContext) -> list[CatalogService]:
    """The factory that mesh.yaml names; ready when it returns."""
    database = await open_database(context, MIGRATIONS)
    version = await fill(database, rows.packed())
    identity = ProfileServiceClient(context.channel("identity", services=[PROFILE_SERVICE]))
    return [
        CatalogService(database, version, Profiles(identity), PageTokens(context.secret("pages")))
    ]
