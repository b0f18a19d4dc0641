"""How soon recommendations come: the streaming system as `meshpact up` runs it, and callers.

Tokens are signed by the key of the run's own authorization server, without anybody signing in: so
there can be any number of users. Profiles are identity's, made by its own calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import psutil
from sqlalchemy import Connection

from acme.identity.v1 import identity_pb2
from acme.identity.v1.identity_mesh import ProfileServiceClient
from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import (
    RecommendationServiceClient,
    SourcesUnavailable,
)
from meshpact.clients import CallError
from meshpact.mesh.config import load
from meshpact.mesh.local import at_state
from meshpact.servers import loop
from meshpact.servers.context import ServiceContext
from meshpact.servers.storage.database import Database
from reference.identity.signingkeys import keys_of
from reference.identity.tables import accounts
from reference.identity.tokens import TokenMaker
from streamingmesh import ADULTS, AUDIENCE, WATCH, event, opening, session
from systemmesh import system_mesh
from upmesh import Up

T = TypeVar("T")

CALLERS: Final = 50
TURN: Final = 1 / 40
"""Seconds between two calls of one user, at least."""
AT_ONCE: Final = 20
"""Users that are made at the same time."""
LIFETIME: Final = 3600
"""Seconds for which a token is good."""
NEW_TURN: Final = 1 / 10
"""Seconds between two new users of one caller, where they come at a pace."""
PAGE: Final = 20
"""Recommendations that are answered to who does not say how many."""
WATCHED: Final = ("s2", "s5", "s8", "s50", "s500")
"""What each user has watched."""


class Viewer(NamedTuple):
    """A user with a profile."""

    profile: str
    token: str


class Latencies(NamedTuple):
    """Milliseconds of calls, and how many calls a second there were; `late` is by how many
    milliseconds the callers' own loop is late, 99 times of 100: so much of a call may be theirs."""

    calls: int
    p50: float
    p99: float
    most: float
    per_second: float
    late: float = 0.0


class System:
    """The running system, called as the page calls it."""

    def __init__(
        self,
        context: ServiceContext,
        tokens: TokenMaker,
        identity: Database,
        pids: Mapping[str, int],
    ) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._tokens = tokens
        self._accounts = identity
        self._profiles = ProfileServiceClient(context.channel("identity"))
        self._recommendations = RecommendationServiceClient(context.channel("recommendations"))

    def cpu_seconds(self) -> dict[str, float]:
        """The processor time that each process has taken, this one too; without trainings."""
        times = {name: each.cpu_times() for name, each in self._processes.items()}
        return {name: float(each.user + each.system) for name, each in times.items()}

    async def viewers(self, count: int) -> list[Viewer]:
        """New users, each with a profile for adults."""

        users = [str(uuid.uuid4()) for _ in range(count)]
        rows = [
            {"id": user, "login": user, "password": "", "member_of": "", "disabled": False}
            for user in users
        ]

        def add(connection: Connection) -> None:
            connection.execute(accounts.insert().values(created_at=0.0), rows)

        await self._accounts.write(add)
        made: list[Viewer] = []
        for start in range(0, count, AT_ONCE):
            made += await asyncio.gather(*map(self._viewer, users[start : start + AT_ONCE]))
        return made

    async def _viewer(self, user: str) -> Viewer:
        scopes = [*WATCH, "profiles.write"]
        now = int(time.time())
        claims = {
            "iss": self._tokens.issuer,
            "sub": user,
            "aud": AUDIENCE,
            "exp": now + self._tokens.lifetime,
            "iat": now,
            "jti": str(uuid.uuid4()),
            "client_id": "benchmark",
            "scope": " ".join(scopes),
        }
        token = self._tokens.sign(claims)
        profile = identity_pb2.Profile(display_name="viewer", maturity_limit=ADULTS)
        made = await self._profiles.create_profile(
            identity_pb2.CreateProfileRequest(request_id=str(uuid.uuid4()), profile=profile),
            token=token,
            timeout=5,
        )
        return Viewer(made.profile.profile_id, token)

    async def listed(self, viewer: Viewer) -> pb.ListRecommendationsResponse:
        """The first page of a user's recommendations."""
        request = pb.ListRecommendationsRequest(profile_id=viewer.profile)
        return await self._recommendations.list_recommendations(request, token=viewer.token)

    async def recommended(self, viewer: Viewer) -> None:
        """The same; AssertionError when it is not a whole page of a model's."""
        answer = await self.listed(viewer)
        assert len(answer.recommendations) == PAGE, len(answer.recommendations)
        assert answer.model_version, "no model"

    async def watch(self, viewer: Viewer) -> None:
        """The user watches some titles to their end."""
        events = [event(each, finished=pb.PlaybackFinished()) for each in WATCHED]
        messages = session(opening(viewer.profile), *events)
        async for _ in self._recommendations.watch(messages, token=viewer.token):
            pass

    async def until_there(self, viewer: Viewer) -> None:
        """Waits until the services have found each other."""
        async with asyncio.timeout(30):
            while True:
                try:
                    await self.listed(viewer)
                    return
                except (SourcesUnavailable, CallError):
                    await asyncio.sleep(0.1)

    async def until_trained(self, viewer: Viewer) -> Latencies:
        """Calls one after the other until a model recommends; what they took."""
        await self.until_there(viewer)
        taken: list[float] = []
        began = time.perf_counter()
        async with asyncio.timeout(120):
            while True:
                start = time.perf_counter()
                answer = await self.listed(viewer)
                taken.append(time.perf_counter() - start)
                if answer.model_version:
                    return latencies(taken, time.perf_counter() - began)
                await asyncio.sleep(0.05)


async def at_once(
    viewers: Sequence[Viewer], call: Callable[[Viewer], Awaitable[object]], seconds: float
) -> Latencies:
    """Calls of all viewers at once, each after its last one, for some seconds.

    A user may make 50 calls a second (the contract's rate): who is faster waits for its next turn.
    """
    _settle()
    taken: list[float] = []
    began = time.perf_counter()
    until = began + seconds

    async def caller(viewer: Viewer) -> None:
        while (start := time.perf_counter()) < until:
            await call(viewer)
            took = time.perf_counter() - start
            taken.append(took)
            await asyncio.sleep(max(0.0, TURN - took))

    async with _lateness() as late:
        await asyncio.gather(*map(caller, viewers))
    return latencies(taken, time.perf_counter() - began, late)


async def one_each(
    viewers: Sequence[Viewer], call: Callable[[Viewer], Awaitable[object]], turn: float = 0.0
) -> Latencies:
    """One call of each viewer, CALLERS at once: a caller goes on to a viewer that nobody had.

    `turn` is how many seconds there are between two calls of a caller, at least.
    """
    _settle()
    taken: list[float] = []
    began = time.perf_counter()
    left = iter(viewers)

    async def caller(number: int) -> None:
        await asyncio.sleep(turn * number / CALLERS)
        for viewer in left:
            start = time.perf_counter()
            await call(viewer)
            took = time.perf_counter() - start
            taken.append(took)
            await asyncio.sleep(max(0.0, turn - took))

    async with _lateness() as late:
        await asyncio.gather(*map(caller, range(CALLERS)))
    return latencies(taken, time.perf_counter() - began, late)


@contextlib.asynccontextmanager
async def _lateness() -> AsyncGenerator[list[float]]:
    """Looks every 5 ms by how many seconds this loop is late."""
    found: list[float] = []

    async def look() -> None:
        while True:
            due = time.perf_counter() + 0.005
            await asyncio.sleep(0.005)
            found.append(max(0.0, time.perf_counter() - due))

    task = asyncio.create_task(look())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _settle() -> None:
    """Lets the collector be done with what is there, as a service does once it has started: here it
    would stop all callers at once."""
    gc.collect()
    gc.freeze()


def latencies(taken: Sequence[float], seconds: float, late: Sequence[float] = ()) -> Latencies:
    """The figures of some calls."""
    ordered = sorted(1000 * each for each in taken)
    return Latencies(
        len(ordered),
        round(statistics.median(ordered), 2),
        round(_p99(ordered), 2),
        round(ordered[-1], 2),
        round(len(ordered) / seconds, 1),
        round(_p99(sorted(1000 * each for each in late)), 2) if late else 0.0,
    )


def _p99(ordered: Sequence[float]) -> float:
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def run(measure: Callable[[System], Awaitable[T]]) -> T:
    """Starts the system with no state, measures, ends it."""
    with (
        tempfile.TemporaryDirectory(prefix="meshpact-claim-") as folder,
        system_mesh(Path(folder)) as mesh,
        Up(mesh.parent, mesh, "--system", "streaming") as up,
    ):
        up.ready()
        return loop.run(_measured(up, mesh, measure))


async def _measured(
    up: Up,
    mesh: Path,
    measure: Callable[[System], Awaitable[T]],
) -> T:
    context = ServiceContext(
        config=at_state(load(mesh), mesh, up.state),
        service="streaming-web",
        state=up.state,
        root=mesh.parent,
        addresses={name: found[0].address for name, found in up.running.services.items()},
    )
    accounts_file = Database(f"sqlite:///{up.state.root / 'databases' / 'identity.db'}")
    context.on_close(accounts_file.close)
    issuer = next(each.issuer for each in context.config.issuers if AUDIENCE in each.audiences)
    tokens = TokenMaker(issuer, keys_of(up.state.root), lifetime=LIFETIME)
    try:
        pids = {name: up.pid(name) for name in ("recommendations", "identity")}
        pids["callers"] = os.getpid()
        return await measure(System(context, tokens, accounts_file, pids))
    finally:
        await context.aclose()
