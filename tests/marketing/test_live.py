"""The events of the page: exact across the end of a token, and bounded in number."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from marketing.watched import Marketing
from reference.marketing.web.live import Live
from reference.web.clientkey import ClientKey
from reference.web.issuer import Issuer, Person, Tokens
from reference.web.login import SignedIn
from reference.web.problems import Refused
from reference.web.streams import Streams
from salesfeed import PLACED, event

ISSUER = "https://issuer.test.example"


class Desk:
    """The issuer's token endpoint, which gives out tokens of the mesh's own."""

    def __init__(self, marketing: Marketing) -> None:
        self._marketing = marketing
        self.refreshed = 0
        self.lifetime = 300.0

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The metadata, or the next tokens."""
        if request.url.path != "/token":
            names = "authorization", "token", "revocation", "end_session"
            endpoints = {f"{name}_endpoint": f"{ISSUER}/{name}" for name in names}
            return httpx.Response(
                200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **endpoints}
            )
        assert parse_qs(request.content.decode())["grant_type"] == ["refresh_token"]
        self.refreshed += 1
        return httpx.Response(
            200,
            json={
                "access_token": self._marketing.token(lifetime=self.lifetime),
                "refresh_token": f"refresh-{self.refreshed}",
                "expires_in": 300,
                "token_type": "Bearer",
            },
        )


@pytest.fixture
def desk(marketing: Marketing) -> Desk:
    return Desk(marketing)


@pytest.fixture
def user(marketing: Marketing, desk: Desk, tmp_path: Path) -> SignedIn:
    """An analyst whose token ends in 300 seconds."""
    clock = marketing.mesh.clock.time
    http = httpx.AsyncClient(transport=httpx.MockTransport(desk.answer))
    tokens = Tokens(marketing.token(lifetime=300), "refresh", clock() + 300, frozenset())
    return signed_in("analyst-1", tokens, tmp_path, http, clock)


def signed_in(
    subject: str,
    tokens: Tokens,
    folder: Path,
    http: httpx.AsyncClient | None = None,
    clock: Callable[[], float] = time.time,
) -> SignedIn:
    """A session of a person at the page."""
    issuer = Issuer(
        ISSUER,
        ClientKey.of(folder / "key", "dashboard-web"),
        redirect_uri="https://dashboard.test.example/callback",
        resource="https://marketing.acme.example",
        http=http or httpx.AsyncClient(),
        clock=clock,
    )
    return SignedIn(issuer, Person(subject, "Analyst", frozenset(), "session"), tokens, clock)


class Shown:
    """What the page shows of the events so far."""

    def __init__(self, events: AsyncGenerator[str]) -> None:
        self._events = events
        self.orders: dict[str, int] = {}
        self.names: list[str] = []
        self.revision = 0

    async def until(self, revision: int) -> None:
        """Reads on until a revision is shown."""
        while self.revision < revision:
            await self.next()

    async def next(self) -> str:
        """Reads one event; its name."""
        fields = dict(line.split(": ", 1) for line in (await anext(self._events)).splitlines()[:-1])
        name = fields.get("event", "")
        if name:
            self.names.append(name)
        data: dict[str, Any] = json.loads(fields.get("data", "{}"))
        for total in data.get("totals", ()):
            if "sku" in total:
                self.orders[total["sku"]] = int(total["orders"])
        self.revision = int(fields.get("id", self.revision))
        return name


async def test_events_go_on_with_a_new_token_where_the_old_one_ended(
    marketing: Marketing, desk: Desk, user: SignedIn
) -> None:
    live = Live(marketing.client, user, window="", after=0)
    async with contextlib.aclosing(live.events()) as events:
        shown = Shown(events)
        await shown.until(5)
        for number in range(3):
            marketing.mesh.clock.advance(301)
            revision = await marketing.feed.add(event(PLACED, ("A0", 1, 100)))
            await shown.until(revision)
            assert shown.orders["A0"] == 2 + number
        listed = {sku: total.orders for sku, total in (await marketing.listed()).items()}
    assert shown.orders == listed
    assert desk.refreshed == 3
    assert set(shown.names) == {"totals"}, "nobody saw that anything ended"


async def test_a_token_that_is_old_for_the_service_alone_is_changed_without_haste(
    marketing: Marketing, desk: Desk, user: SignedIn
) -> None:
    desk.lifetime = -1  # the issuer's clock and the service's do not agree
    user.spent(await user.token())
    live = Live(marketing.client, user, window="", after=0)
    async with contextlib.aclosing(live.events()) as events:
        shown = Shown(events)
        while (await shown.next()) != "waiting":
            pass
        refused = desk.refreshed
        while (await shown.next()) != "waiting":
            pass
        assert desk.refreshed == refused + 1
        desk.lifetime = 300
        await shown.until(5)
    assert "problem" not in shown.names


async def test_nobody_gets_more_live_answers_than_they_may_have(tmp_path: Path) -> None:
    streams = Streams(session=2, person=3, together=4)
    user, other, third = (
        signed_in(name, Tokens("", "", 0.0, frozenset()), tmp_path)
        for name in ("analyst-1", "analyst-1", "analyst-2")
    )

    async def events() -> AsyncGenerator[str]:
        await asyncio.Event().wait()
        yield ""

    answers = [streams.answer(each, events()) for each in (user, user, other)]
    for who, words in ((user, "This browser shows 2"), (other, "You have 3 live pages")):
        with pytest.raises(Refused, match=words) as refused:
            streams.answer(who, events())
        problem = refused.value.problem
        assert (problem.status, problem.reason, problem.retry_after) == (
            429,
            "TOO_MANY_STREAMS",
            10,
        )
    answers.append(streams.answer(third, events()))
    with pytest.raises(Refused, match="Too many live pages"):
        streams.answer(third, events())

    async def never() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def nowhere(_: object) -> None:
        return

    for answer in answers:
        await answer({"type": "http", "asgi": {"spec_version": "2.3"}}, never, nowhere)
    assert len(streams) == 0
    streams.check(user)
