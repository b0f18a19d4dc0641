"""Sets recommendations up: what was watched, the last model, the ways to catalog and identity."""

from __future__ import annotations

from pathlib import Path

from acme.identity.v1.identity_mesh import PROFILE_SERVICE, ProfileServiceClient
from acme.streaming.catalog.v1.catalog_mesh import CATALOG_SERVICE, CatalogServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.opening import open_database
from meshpact.servers.storage.retention import retention_of
from reference.streaming.profiles import Profiles
from reference.streaming.recommendations import history
from reference.streaming.recommendations.keeper import AGAIN, AGAIN_AT_MOST, LOOK, Keeper
from reference.streaming.recommendations.library import Library
from reference.streaming.recommendations.newcomers import SEEN, Newcomers
from reference.streaming.recommendations.ranking import Ranking
from reference.streaming.recommendations.service import RecommendationService

MIGRATIONS = Path(__file__).parent / "migrations"


async def create(context: ServiceContext) -> list[RecommendationService]:
    """The factory that mesh.yaml names; ready when it returns, with or without a model."""
    database = await open_database(context, MIGRATIONS)
    catalog = CatalogServiceClient(context.channel("catalog", services=[CATALOG_SERVICE]))
    identity = ProfileServiceClient(context.channel("identity", services=[PROFILE_SERVICE]))
    keeper = Keeper(context.state.root / "models" / context.service, catalog, database)
    await keeper.load()
    context.background(
        "training", keeper.refresh, every=LOOK, pause=AGAIN, pause_at_most=AGAIN_AT_MOST
    )
    newcomers = Newcomers(database)
    retention = retention_of(context, database)
    history.add_rules(retention, context.config.databases.keep_rows)
    retention.begin(context)
    context.background("newcomers", newcomers.look, every=SEEN, pause_at_most=SEEN)
    library = Library(catalog)
    ranking = Ranking(keeper, database, library, newcomers)
    return [
        RecommendationService(
            database, Profiles(identity), library, ranking, PageTokens(context.secret("pages"))
        )
    ]
