"""acme.identity for tests: its pages and endpoints over HTTP, its gRPC, and a site.

Everything listens on real sockets, in one process. `World.clock` moves the time of all of it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.cookies
import itertools
import re
import secrets
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from acme.identity.v1 import identity_pb2 as pb
from acme.identity.v1.identity_mesh import (
    INTROSPECTION_SERVICE,
    PROFILE_SERVICE,
    SESSION_SERVICE,
    ProfileServiceClient,
)
from meshpact.clients import Channel
from meshpact.interceptors.assemble import guard_for
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import MeshConfig, load
from meshpact.mesh.state import State
from meshpact.servers import Drain, Server
from meshpact.servers.background import Job
from meshpact.servers.context import ServiceContext
from meshpact.servers.supervisor.identities import Identities
from meshpact.testing.clock import Clock
from reference.identity.app import Identity, Settings, build
from reference.identity.clients import origins_of
from reference.identity.settings import Hashing, Lifetimes
from reference.web.app import Site
from reference.web.clientkey import ClientKey
from reference.web.login import Login
from systemmesh import hold

AUDIENCE: Final = "streaming.acme.example"
SCOPES: Final = (
    "streaming.read",
    "profiles.read",
    "profiles.write",
    "sessions.read",
    "sessions.write",
)
PASSWORD: Final = "correct horse battery staple"
CHEAP: Final = Hashing(time_cost=1, memory_kib=8, parallelism=1)
MESH: Final = """\
trust_domain: acme.example
services:
  identity: {{ factory: "any:create", web: {{ address: "localhost:{identity}" }} }}
  streaming-web: {{ factory: "any:create", web: {{ address: "localhost:{streaming}" }} }}
  dashboard-web: {{ factory: "any:create", web: {{ address: "localhost:{dashboard}" }} }}
  support-web: {{ factory: "any:create", web: {{ address: "localhost:{support}" }} }}
  billing: {{}}
roles:
  identity.caller: {{ workloads: [streaming-web] }}
  identity.checker: {{ workloads: [billing] }}
  identity.introspector: {{ workloads: [billing] }}
issuers:
  - issuer: "http://localhost:{identity}"
    jwks: "http://localhost:{identity}/jwks.json"
    audiences: [streaming.acme.example, marketing.acme.example]
    algorithms: [ES256]
"""
_SOURCES: Final = itertools.count(2)
_TLS: Final = ssl.create_default_context()
"""Made once: httpx reads all authorities of the machine for each client otherwise."""


class World:
    """A running authorization server, `site` of streaming, and ways to both."""

    def __init__(self, folder: Path, url: str, lifetimes: Lifetimes | None = None) -> None:
        self.folder = folder
        self.url = url
        self.clock = Clock()
        self.settings = Settings(lifetimes or Lifetimes(), CHEAP, self.clock.time)
        self.state = State(folder / "state")
        self.identity: Identity
        self.issuer = ""
        self.site = ""
        self.login: Login
        self.address = ""
        self.job: Callable[[str], Job]
        """Work that identity does in the background, by its name."""
        self._ending = contextlib.AsyncExitStack()

    async def __aenter__(self) -> World:
        async with contextlib.AsyncExitStack() as stack:
            names = ("identity", "streaming", "dashboard", "support")
            ports = {name: hold(stack) for name in names}
            mesh = self.folder / "mesh.yaml"
            mesh.write_text(MESH.format(**ports))
            config = load(mesh)
            identity = msgspec.structs.replace(config.services["identity"], storage=self.url)
            services = {**config.services, "identity": identity}
            self.config = msgspec.structs.replace(config, services=services)
            self.state.create()
            Identities(self.config, self.state, lambda text: None).prepare()
            self.issuer = f"http://localhost:{ports['identity']}"
            self.site = f"http://localhost:{ports['streaming']}"
            await self._identity(stack, mesh)
            await self._site(stack)
            self._ending = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._ending.aclose()

    def context(self, service: str) -> ServiceContext:
        """What a process of the mesh would be given."""
        return ServiceContext(
            config=self.config,
            service=service,
            state=self.state,
            root=self.folder,
            addresses={"identity": self.address},
        )

    async def _identity(self, stack: contextlib.AsyncExitStack, mesh: Path) -> None:
        context = self.context("identity")
        stack.push_async_callback(context.aclose)
        self.identity = await build(context, self.settings)
        await context.serve_web(self.identity.app)
        assembled = guard_for(
            self.config,
            "identity",
            identity=context.identity,
            bindings=Reloader(mesh),
            audit_path=self.state.audit / "identity.jsonl",
            clock=self.clock.monotonic,
            wall=self.clock.time,
        )
        stack.callback(assembled.close)
        self.audit = assembled.audit
        server = Server(
            identity=context.identity,
            guard=assembled.guard,
            address="127.0.0.1:0",
            drain=Drain(quiet=0.0, at_most=0.0, grace=0.0),
        )
        for servicer in self.identity.servicers:
            server.add(servicer)
        await server.start()
        stack.push_async_callback(server.kill)
        context.ready()
        self.job = context.job
        self.address = server.address

    async def _site(self, stack: contextlib.AsyncExitStack) -> None:
        context = self.context("streaming-web")
        stack.push_async_callback(context.aclose)
        self.login = Login.of(context, scopes=SCOPES, audience=AUDIENCE, clock=self.clock.time)
        site = Site("Streaming", origin=context.web_url, form_targets=[self.issuer])
        profiles = ProfileServiceClient(context.channel("identity", services=[PROFILE_SERVICE]))

        async def home(request: Request) -> Response:
            user = self.login.user_if_any(request)
            return site.page(request, "base.html") if user else PlainTextResponse("nobody")

        async def mine(request: Request) -> Response:
            user = self.login.user(request)
            found = await profiles.list_profiles(pb.ListProfilesRequest(), token=await user.token())
            names = [each.display_name for each in found.profiles]
            return JSONResponse({"name": user.name, "profiles": names, "csrf": user.csrf})

        async def change(request: Request) -> Response:
            _, form = await self.login.form(request)
            return JSONResponse({"changed": form.get("what", "")})

        async def script(request: Request) -> Response:
            self.login.script(request)
            return JSONResponse({"changed": True})

        routes = [
            Route("/", home),
            Route("/mine", mine),
            Route("/change", change, methods=["POST"]),
            Route("/script", script, methods=["POST"]),
            *self.login.routes,
        ]
        await context.serve_web(site.app(routes))

    @contextlib.asynccontextmanager
    async def channel(self, workload: str = "streaming-web") -> AsyncGenerator[Channel]:
        """A channel to identity's gRPC, as a workload."""
        context = self.context(workload)
        try:
            specs = [PROFILE_SERVICE, SESSION_SERVICE, INTROSPECTION_SERVICE]
            yield context.channel("identity", services=specs)
        finally:
            await context.aclose()

    def client(self, client_id: str = "streaming-web") -> OAuthClient:
        """An OAuth client with its own key, which this test drives by hand."""
        return OAuthClient(self, client_id)

    def staff_password(self, name: str) -> str:
        """The password of an account that was there from the start."""
        lines = (self.state.root / "identity" / "staff-passwords").read_text().splitlines()
        return dict(line.split() for line in lines)[name]


class Browser:
    """What a browser does: cookies, redirects step by step, forms; from an address of its own,
    or from another's."""

    def __init__(self, address: str = "") -> None:
        number = next(_SOURCES)
        self.address = address or f"127.0.{number // 250}.{number % 250 + 1}"
        self.cookies: dict[str, str] = {}
        self.http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(verify=_TLS, local_address=self.address),
            headers={"accept": "text/html", "user-agent": "test browser"},
            timeout=20,
        )

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.http.aclose()

    async def ask(self, method: str, url: str, **asked: Any) -> httpx.Response:
        """One request with the cookies kept; redirects are not followed."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**asked.pop("headers", {}), **({"cookie": cookies} if cookies else {})}
        answer = await self.http.request(method, url, headers=headers, **asked)
        for line in answer.headers.get_list("set-cookie"):
            for name, found in http.cookies.SimpleCookie(line).items():
                # what browsers ask of such a name (RFC 6265bis, 4.1.3.2)
                assert name.startswith("__Host-") and found["path"] == "/" and not found["domain"]
                assert found["secure"] and found["httponly"] and found["samesite"] == "lax"
                if found["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = found.value
        return answer

    async def get(self, url: str, **asked: Any) -> httpx.Response:
        """Asks for a page."""
        return await self.ask("GET", url, **asked)

    async def post(self, url: str, **asked: Any) -> httpx.Response:
        """Sends a form, as a page of the same origin would."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        headers = {"origin": origin, **asked.pop("headers", {})}
        return await self.ask("POST", url, headers=headers, **asked)

    async def follow(self, answer: httpx.Response, until: str = "") -> httpx.Response:
        """Follows redirects, or stops before one that leads to `until...`."""
        while answer.is_redirect:
            where = str(answer.next_request.url) if answer.next_request else ""
            if until and where.startswith(until):
                return answer
            answer = await self.get(where)
        return answer

    async def open(self, url: str) -> httpx.Response:
        """A page, wherever redirects lead."""
        return await self.follow(await self.get(url))

    async def send(self, page: httpx.Response, fields: Mapping[str, str]) -> httpx.Response:
        """Fills in the last form of a page and sends it; gives the answer as it comes."""
        html = page.text
        action = re.findall(r'<form[^>]*action="([^"]*)"', html)[-1].replace("&amp;", "&")
        form = html[html.rindex("<form") :]
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form))
        return await self.post(str(page.url.join(action)), data={**hidden, **fields})

    async def sign_up(self, page: httpx.Response, login: str = "") -> httpx.Response:
        """Makes an account from the sign-in form; the redirect that follows."""
        query = str(page.url).partition("?")[2]
        form = await self.get(str(page.url.join(f"/signup?{query}")))
        name = login or new_login()
        return await self.send(form, {"login": name, "password": PASSWORD, "repeat": PASSWORD})

    async def sign_in(
        self, page: httpx.Response, login: str, password: str = PASSWORD
    ) -> httpx.Response:
        """Sends the sign-in form."""
        return await self.send(page, {"login": login, "password": password})


class Place(Protocol):
    """Where an authorization server is, and what its clients share with it."""

    state: State
    config: MeshConfig
    issuer: str


class OAuthClient:
    """A confidential client that does each step by itself, rightly or not."""

    def __init__(self, world: Place, client_id: str) -> None:
        self.world = world
        self.id = client_id
        self.key = ClientKey.of(world.state.root / "oauth" / "clients" / client_id, client_id)
        self.redirect_uri = f"{origins_of(world.config)[client_id]}/callback"
        self.verifier = secrets.token_urlsafe(48)
        self.http = httpx.AsyncClient(timeout=20, verify=_TLS)

    async def __aenter__(self) -> OAuthClient:
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.http.aclose()

    def authorize_url(self, **changes: str | None) -> str:
        """An authorization request; `changes` replace parameters, None leaves one out."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(("openid", *SCOPES)) if self.id == "streaming-web" else "openid",
            "state": "a-state",
            "nonce": "a-nonce",
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
            **changes,
        }
        query = httpx.QueryParams(
            {name: value for name, value in asked.items() if value is not None}
        )
        return f"{self.world.issuer}/authorize?{query}"

    async def code(self, browser: Browser, **changes: str | None) -> str:
        """A code for a new account's person (or whoever is signed in in the browser)."""
        answer = await browser.follow(
            await browser.get(self.authorize_url(**changes)), self.redirect_uri
        )
        if not answer.is_redirect:
            answer = await browser.follow(await browser.sign_up(answer), self.redirect_uri)
        return parameters(answer)["code"]

    async def post(self, path: str, form: Mapping[str, str], prove: bool = True) -> httpx.Response:
        """A form to an endpoint, with proof of who asks."""
        proof = self.key.assertion(self.world.issuer) if prove else {}
        return await self.http.post(f"{self.world.issuer}{path}", data={**proof, **form})

    async def redeem(self, code: str, **changes: str) -> httpx.Response:
        """Asks for the tokens of a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            **changes,
        }
        return await self.post("/token", form)

    async def refresh(self, token: str, **changes: str) -> httpx.Response:
        """Asks for the next tokens."""
        form = {"grant_type": "refresh_token", "refresh_token": token, **changes}
        return await self.post("/token", form)

    async def tokens(self, browser: Browser, **changes: str | None) -> dict[str, Any]:
        """The tokens of a person in a browser."""
        answer = await self.redeem(await self.code(browser, **changes))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def parameters(answer: httpx.Response) -> dict[str, str]:
    """The query of where a redirect leads."""
    query = urlsplit(answer.headers["location"]).query
    return {name: values[0] for name, values in parse_qs(query).items()}


def new_login() -> str:
    """A name that nobody has."""
    return f"viewer-{secrets.token_hex(6)}"
