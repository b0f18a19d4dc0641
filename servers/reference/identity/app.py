"""Sets identity up: its database, keys, accounts of the staff, pages, and gRPC services."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

from acme.identity.v1.identity_mesh import (
    IntrospectionServiceBase,
    ProfileServiceBase,
    SessionServiceBase,
)
from meshpact.servers.context import ServiceContext
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.opening import open_database
from meshpact.servers.storage.retention import retention_of
from reference.identity import staff
from reference.identity.clients import Clients, origins_of
from reference.identity.devices import Devices
from reference.identity.endpoints import Endpoints
from reference.identity.oauth import Protocol
from reference.identity.pages import Pages
from reference.identity.passwords import Passwords
from reference.identity.pruning import add_rules
from reference.identity.services import IntrospectionService, ProfileService, SessionService
from reference.identity.settings import Hashing, Lifetimes
from reference.identity.signin import SignIn
from reference.identity.signingkeys import SigningKeys, keys_of
from reference.identity.tokens import TokenMaker
from reference.identity.upkeep import Upkeep
from reference.web.app import Site
from reference.web.clientkey import CLIENTS

HERE: Final = Path(__file__).parent
MIGRATIONS: Final = HERE / "migrations"
STAFF_FILE: Final = "staff-passwords"

Servicer = ProfileServiceBase | SessionServiceBase | IntrospectionServiceBase


@dataclass(frozen=True)
class Settings:
    """What tests change."""

    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    hashing: Hashing = field(default_factory=Hashing)
    clock: Callable[[], float] = time.time


@dataclass(frozen=True)
class Identity:
    """The parts of a running authorization server."""

    database: Database
    protocol: Protocol
    keys: SigningKeys
    passwords: Passwords
    app: Starlette
    servicers: list[Servicer]


async def create(context: ServiceContext) -> list[Servicer]:
    """The factory that mesh.yaml names; ready when it returns."""
    made = await build(context, Settings())
    await context.serve_web(made.app)
    return made.servicers


async def build(context: ServiceContext, settings: Settings) -> Identity:
    """Puts the parts together; all but the pages run from here on, until the context is closed."""
    clock, lifetimes = settings.clock, settings.lifetimes
    database = await open_database(context, MIGRATIONS)
    folder = context.state.root / "identity"
    keys = keys_of(context.state.root, lifetime=lifetimes.access, clock=clock)
    passwords = Passwords(settings.hashing)

    async def close() -> None:
        passwords.close()

    context.on_close(close)
    await staff.seed(database, passwords, folder / STAFF_FILE, clock)
    context.tell(f"names and passwords of the staff are in {folder / STAFF_FILE}")
    origin = context.web_url
    clients = Clients(origins_of(context.config), context.state.root.joinpath(*CLIENTS))
    tokens = TokenMaker(origin, keys, lifetime=lifetimes.access, clock=clock)
    protocol = Protocol(clients, tokens, lifetimes, clock)
    site = Site("Identity", origin=origin, templates=HERE / "templates")
    devices = Devices(context.secret("devices"), lifetime=lifetimes.device, clock=clock)
    sign_in = SignIn(database, passwords, devices, lifetimes, clock)
    routes = [
        *Endpoints(site, database, protocol, keys).routes,
        *Pages(site, database, protocol, passwords, sign_in).routes,
    ]
    Upkeep(keys, lifetimes, health=context.health).begin(context)
    retention = retention_of(context, database, clock=clock)
    add_rules(retention)
    retention.begin(context)
    pages = PageTokens(context.secret("pages"), clock=clock)
    return Identity(
        database,
        protocol,
        keys,
        passwords,
        site.app(routes),
        [
            ProfileService(database, tokens, pages, clock),
            SessionService(database, protocol, pages),
            IntrospectionService(database, protocol),
        ],
    )
