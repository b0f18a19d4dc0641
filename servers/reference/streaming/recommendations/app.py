"""Sets recommendations up: what was watched, the last model, the ways to catalog and identity."""

from __future__ import annotations

from pathlib import Path

from acme.identity.v1.identity_mesh import PROFILE_SERVICE, ProfileServiceClient
from acme.streaming.catalog.v1.catalog_mesh import CATALOG_SERVICE, CatalogServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.streaming.profiles import Profiles
from reference.streaming.recommendations.keeper import Keeper
from reference.streaming.recommendations.library import Library
from reference.streaming.recommendations.newcomers import Newcomers
from reference.streaming.recommendations.ranking import Ranking
from reference.streaming.recommendations.service import RecommendationService

MIGRATIONS = Path(__file__).parent / "migrations"


async def create(context: ServiceContext) -> list[RecommendationService]:
    """The factory that mesh.yaml names; ready when it returns, with or without a model."""
    database = Database(context.storage, schema=context.service)
    context.on_close(database.close)
    await migrate(database, MIGRATIONS)
    catalog = CatalogServiceClient(context.channel("catalog", services=[CATALOG_SERVICE]))
    identity = ProfileServiceClient(context.channel("identity", services=[PROFILE_SERVICE]))
    keeper = Keeper(context.state.root / "models" / context.service, catalog, database)
    context.on_close(keeper.close)
    await keeper.start()
    newcomers = Newcomers(database)
    context.on_close(newcomers.close)
    newcomers.start()
    library = Library(catalog)
    ranking = Ranking(keeper, database, library, newcomers)
    return [
        RecommendationService(
            database, Profiles(identity), library, ranking, PageTokens(context.secret("pages"))
        )
    ]
