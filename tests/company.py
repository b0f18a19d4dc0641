"""Streaming, marketing and support for tests: their services and pages in one process, real tokens.

Orders are scripted (`feed`); people sign in at identity, whose passwords are cheap here.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from acme.retail.store.v1.store_mesh import StoreServiceBase
from identityworld import CHEAP, Browser, OAuthClient
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.state import State
from meshpact.servers.context import ServiceContext
from meshpact.testing.mesh import LocalMesh
from meshpact.testing.standin import stand_in
from reference.identity.app import Settings, build
from salesfeed import Feed
from systemmesh import origins, system_mesh

SERVICES: Final = (
    "identity",
    "sales",
    "billing",
    "catalog",
    "recommendations",
    "dashboard-web",
    "support-web",
    "streaming-web",
)


FACTORY: Final = "reference.identity.app:create"
FACTORY_HERE: Final = "company:create_identity"
"""What mesh.yaml names, and with what passwords cost next to nothing."""


async def create_identity(context: ServiceContext) -> list[Any]:
    """The factory of identity in the tests' mesh.yaml."""
    made = await build(context, Settings(hashing=CHEAP))
    await context.serve_web(made.app)
    return list(made.servicers)


class Company:
    """The running systems. `storage` gives the URL of a service's database."""

    def __init__(
        self, home: Path, storage: Callable[[str], str], services: Sequence[str] = SERVICES
    ) -> None:
        self.home = home
        self.feed = Feed()
        self.mesh: LocalMesh
        self.state: State
        self.config: MeshConfig
        self.issuer = ""
        self.origins: dict[str, str] = {}
        self._storage = storage
        self._services = services
        self._ending = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Company:
        async with contextlib.AsyncExitStack() as stack:
            mesh_file = stack.enter_context(system_mesh(self.home))
            text = mesh_file.read_text()
            mesh_file.write_text(text.replace(FACTORY, FACTORY_HERE))
            self.issuer = origins(mesh_file, "identity")[0]
            self.origins = {
                name: origins(mesh_file, name)[0] for name in self._services if "-web" in name
            }
            self.mesh = LocalMesh(
                mesh_file,
                state=self.home / "state",
                services=self._services,
                servicers={"orders": self.feed.servicer, "store": stand_in(StoreServiceBase)},
                storage=self._storage,
                keep_issuers=[self.issuer],
            )
            self.state = self.mesh.state
            self.state.create()
            if "recommendations" in self._services:
                from streamingmesh import trained_model

                models = self.state.root / "models" / "recommendations"
                shutil.copytree(trained_model(), models)
            await stack.enter_async_context(self.mesh)
            self.config = self.mesh.config
            self._ending = stack.pop_all()
        return self

    async def __aexit__(self, *ended: Any) -> None:
        await self._ending.aclose()

    def password(self, account: str) -> str:
        """What a member of the staff signs in with."""
        lines = (self.state.root / "identity" / "staff-passwords").read_text().splitlines()
        return dict(line.split() for line in lines)[account]

    async def enter(self, browser: Browser, site: str, account: str = "") -> None:
        """Signs a browser in at a site; a new viewer without an account of the staff."""
        form = await browser.open(f"{self.origins[site]}/login?next=/")
        if account:
            answer = await browser.sign_in(form, account, self.password(account))
        else:
            answer = await browser.sign_up(form)
        await browser.follow(answer)

    async def token(self, browser: Browser, site: str, *scopes: str) -> str:
        """An access token of who is signed in in a browser, for calls as a site's workload."""
        async with OAuthClient(self, site) as client:
            found = await client.tokens(browser, scope=" ".join(("openid", *scopes)))
            return str(found["access_token"])
