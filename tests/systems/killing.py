"""Kills processes of identity, streaming, sales and billing while people use them, then checks
that everything they were told is so: `python -m systems.killing` does it for longer than a test.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Coroutine, Generator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import yaml
from google.protobuf.duration_pb2 import Duration

from acme.identity.v1 import identity_pb2
from acme.identity.v1.identity_mesh import PROFILE_SERVICE, ProfileServiceClient
from acme.marketing.sales.v1 import sales_pb2 as sales
from acme.marketing.sales.v1.sales_mesh import SALES_SERVICE, SalesServiceClient
from acme.retail.orders.v1 import orders_pb2 as orders
from acme.streaming.recommendations.v1 import recommendations_pb2 as playback
from acme.streaming.recommendations.v1.recommendations_mesh import (
    RECOMMENDATION_SERVICE,
    RecommendationServiceClient,
)
from acme.support.billing.v1 import billing_pb2 as billing
from acme.support.billing.v1.billing_mesh import (
    BILLING_SERVICE,
    BillingServiceClient,
    InvoiceUnknown,
)
from company import FACTORY, FACTORY_HERE
from identityworld import Browser, OAuthClient
from marketing.exactness import sql_totals
from meshpact.clients import CallError
from meshpact.interceptors.errors import StatusError
from meshpact.mesh.config import load
from meshpact.mesh.local import at_state
from meshpact.servers.context import ServiceContext
from outages import LATER, answered
from reference.money import minor_units, money
from reference.streaming.recommendations.model import load as load_model
from salesfeed import PLACED, event
from scriptedorders import FACTORY as SCRIPTED
from scriptedorders import write
from streamingmesh import event as played
from streamingmesh import opening, session, trained_model
from systemmesh import origins, system_mesh
from upmesh import Up

VICTIMS: Final = ("identity", "catalog", "recommendations", "sales", "billing")
LATEST: Final = 0.3
"""Seconds after everybody was answered again until the next are killed, at most."""
DESK: Final = ("billing.read", "billing.refund", "billing.approve")
VIEWER: Final = ("streaming.read", "streaming.watch", "profiles.read")
AGAIN: Final = 0.1

Task = asyncio.Task[None]


class Outcome(NamedTuple):
    """What a run came to: `faults` in words, and how much was done and refused meanwhile."""

    faults: list[str]
    refunds: int
    approvals: int
    events: int
    played: int
    told: int


class Company:
    """The systems in processes of their own, and the people who use them until `ended` is set."""

    def __init__(self, home: Path, up: Up, issuer: str) -> None:
        self.up = up
        self.home = home
        self.state = up.state
        self.config = at_state(load(home / "mesh.yaml"), home / "mesh.yaml", up.state)
        self.issuer = issuer
        self.ended = asyncio.Event()
        self.told = 0
        self.tokens: dict[str, str] = {}
        self.profile = ""
        self.revision = 0
        self.given: dict[str, list[billing.Refund]] = {}
        self.seen: dict[str, dict[str, int]] = {}
        self.revisions: list[int] = []
        self.played: dict[str, int] = {}
        self._moved = {name: asyncio.Event() for name in ("refunds", "totals", "playback")}

    async def moves(self) -> None:
        """Returns when everybody has been answered once more."""
        for each in self._moved.values():
            each.clear()
        for each in self._moved.values():
            await each.wait()

    @contextlib.asynccontextmanager
    async def callers(self) -> AsyncGenerator[None]:
        """Ways to call, while the block runs."""
        running = self.up.running.services
        addresses = {name: each[0].address for name, each in running.items() if each[0].address}
        async with contextlib.AsyncExitStack() as stack:

            def caller(name: str) -> ServiceContext:
                made = ServiceContext(
                    config=self.config,
                    service=name,
                    state=self.state,
                    root=self.home,
                    addresses=addresses,
                )
                stack.push_async_callback(made.aclose)
                return made

            desk, board, site = map(caller, ("support-web", "dashboard-web", "streaming-web"))
            self.billing = BillingServiceClient(desk.channel("billing", services=[BILLING_SERVICE]))
            self.sales = SalesServiceClient(board.channel("sales", services=[SALES_SERVICE]))
            self.watching = RecommendationServiceClient(
                site.channel("recommendations", services=[RECOMMENDATION_SERVICE])
            )
            self.profiles = ProfileServiceClient(
                site.channel("identity", services=[PROFILE_SERVICE])
            )
            yield

    async def sign_in(self) -> None:
        """Everybody gets a token."""
        lines = (self.state.root / "identity" / "staff-passwords").read_text().splitlines()
        passwords = dict(line.split() for line in lines)
        for name, site, scopes in (
            ("agent", "support-web", DESK[:2]),
            ("supervisor", "support-web", DESK),
            ("analyst", "dashboard-web", ("sales.read",)),
            ("viewer", "streaming-web", VIEWER),
        ):
            async with Browser() as browser, OAuthClient(self, site) as client:
                form = await browser.get(f"{self.issuer}/login")
                if name in passwords:
                    await browser.sign_in(form, name, passwords[name])
                else:
                    await browser.sign_up(form)
                found = await client.tokens(browser, scope=" ".join(("openid", *scopes)))
                self.tokens[name] = str(found["access_token"])
        request = identity_pb2.ListProfilesRequest()
        answer = await self.profiles.list_profiles(request, token=self.tokens["viewer"])
        self.profile = answer.profiles[0].profile_id

    def tell(self, _reason: str = "") -> None:
        """Somebody was told to come again."""
        self.told += 1

    def happen(self, *events: orders.OrderEvent) -> None:
        """Lets orders go on."""
        for each in events:
            self.revision += 1
            each.revision = self.revision
        write(self.home, events)

    async def refunds(self) -> None:
        """Gives money back on ever new invoices: twice at once, and once above the limit."""
        while not self.ended.is_set():
            name = str(uuid.uuid4())
            now = int(time.time())
            self.happen(event(PLACED, ("22423", 1, 200_00), order_id=name, at=now))
            await self.invoice(name)
            small = await asyncio.gather(self.refund(name, 10_00), self.refund(name, 10_00))
            large = await self.refund(name, 60_00)
            self.given[name] = [*small, await self.approve(large)]
            self._moved["refunds"].set()

    async def invoice(self, name: str) -> billing.GetInvoiceResponse:
        """An invoice, once billing has it."""
        request = billing.GetInvoiceRequest(invoice_id=name)
        while True:
            with contextlib.suppress(InvoiceUnknown):
                return await answered(
                    lambda: self.billing.get_invoice(request, token=self.tokens["supervisor"]),
                    self.tell,
                )
            await asyncio.sleep(AGAIN)

    async def refund(self, name: str, pence: int) -> billing.Refund:
        """A refund, asked for under one name until it is answered."""
        request = billing.CreateRefundRequest(
            request_id=str(uuid.uuid4()),
            invoice_id=name,
            amount=money(pence),
            reason="broken on arrival",
        )
        answer = await answered(
            lambda: self.billing.create_refund(request, token=self.tokens["agent"]), self.tell
        )
        return answer.refund

    async def approve(self, refund: billing.Refund) -> billing.Refund:
        """The supervisor lets a refund pass; asked for under one name, too."""
        request = billing.ApproveRefundRequest(
            request_id=str(uuid.uuid4()), refund_id=refund.refund_id
        )
        token = self.tokens["supervisor"]
        answer = await answered(
            lambda: self.billing.approve_refund(request, token=token), self.tell
        )
        return answer.refund

    async def watch(self) -> None:
        """Holds all totals by product, until everything has been told."""
        revision, totals = 0, dict[str, int]()
        while not self.ended.is_set() or revision < self.revision:
            request = sales.WatchTotalsRequest(
                dimensions=[sales.DIMENSION_PRODUCT], after_revision=revision
            )
            stream = self.sales.watch_totals(request, token=self.tokens["analyst"], timeout=2.0)
            try:
                async for answer in stream:
                    totals |= {each.sku: each.orders for each in answer.totals}
                    revision = answer.revision if answer.complete else revision
                    self.revisions.append(answer.revision)
                    self._moved["totals"].set()
            except (CallError, StatusError) as error:
                if error.code not in LATER:
                    raise
                self.tell()
                await asyncio.sleep(AGAIN)
        self.seen["totals"] = totals

    async def play(self) -> None:
        """Watches titles: an event that was not answered is sent again, as it was."""
        number = 0
        while not self.ended.is_set():
            number += 1
            title = f"s{number % 40 + 100}"
            sent = played(
                title, position=playback.PlaybackPosition(position=Duration(seconds=number))
            )
            while True:
                try:
                    messages = session(opening(self.profile), sent)
                    stream = self.watching.watch(messages, token=self.tokens["viewer"])
                    answers = [each async for each in stream]
                    if answers and answers[-1].event_id == sent.event.event_id:
                        break
                except (CallError, StatusError) as error:
                    if error.code not in LATER:
                        raise
                self.tell()
                await asyncio.sleep(AGAIN)
            self.played[title] = number
            self._moved["playback"].set()

    async def faults(self) -> AsyncGenerator[str]:
        """What is not as people were told."""
        for name, given in self.given.items():
            found = await self.invoice(name)
            told = {each.refund_id: each.state for each in given}
            kept = {each.refund_id: each.state for each in found.refunds}
            if told != kept or set(kept.values()) != {billing.REFUND_STATE_ISSUED}:
                yield f"invoice {name}: {kept} instead of {told}"
            if minor_units(found.invoice.refunded) != 80_00:
                yield f"invoice {name}: {found.invoice.refunded} refunded"
        truth = await sql_totals(f"sqlite:///{self.state.root / 'databases' / 'sales.db'}")
        by_sku = {str(name): sums[0] for (kind, name), sums in truth.items() if kind == "sku"}
        if self.seen["totals"] != by_sku or sum(by_sku.values()) != self.revision:
            yield f"totals: {self.seen['totals']} watched, {by_sku} kept, {self.revision} happened"
        if self.revisions != sorted(self.revisions):
            yield "a watch went back"
        request = playback.ListHistoryRequest(profile_id=self.profile, page_size=100)
        history = await answered(
            lambda: self.watching.list_history(request, token=self.tokens["viewer"]), self.tell
        )
        watched = {each.title.title_id: each.position.seconds for each in history.watched_titles}
        if watched != self.played:
            yield f"history: {watched} instead of {self.played}"
        if load_model(self.state.root / "models" / "recommendations") is None:
            yield "there is no model"
        logs = sorted(self.state.logs.glob("*.log"))
        if len(logs) < len(VICTIMS):
            yield f"logs: {logs}"
        for log in logs:
            if "Traceback" in log.read_text("utf-8"):
                yield f"{log.name} holds a traceback"


def kill(up: Up, service: str) -> None:
    """SIGKILL for a service's process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(up.pid(service), signal.SIGKILL)


async def _first(waiting: Coroutine[object, object, None], at_work: Sequence[Task]) -> None:
    """Waits; raises what somebody at work fails with before that."""
    waited = asyncio.create_task(waiting)
    await asyncio.wait([waited, *at_work], return_when=asyncio.FIRST_COMPLETED)
    for each in at_work:
        if each.done():
            waited.cancel()
            await each
    await waited


async def run(home: Path, rounds: Sequence[Sequence[str]], seed: int = 1) -> Outcome:
    """Kills several at random moments while everybody is at work, again and again."""
    chance = random.Random(seed)
    with company_mesh(home) as mesh_file, Up(home, mesh_file, "--system", "killed") as up:
        await asyncio.to_thread(up.ready)
        company = Company(home, up, origins(mesh_file, "identity")[1])
        async with company.callers():
            await company.sign_in()
            at_work = [
                asyncio.create_task(each)
                for each in (company.refunds(), company.refunds(), company.watch(), company.play())
            ]
            for victims in rounds:
                await _first(company.moves(), at_work)
                await asyncio.sleep(chance.uniform(0.0, LATEST))
                for victim in victims:
                    kill(up, victim)
            await _first(company.moves(), at_work)
            company.ended.set()
            await asyncio.gather(*at_work)
            faults = [each async for each in company.faults()]
    refunds = sum(map(len, company.given.values()))
    return Outcome(
        faults,
        refunds,
        len(company.given),
        company.revision,
        sum(company.played.values()),
        company.told,
    )


@contextlib.contextmanager
def company_mesh(home: Path) -> Generator[Path]:
    """The project's mesh.yaml with a system `killed`: cheap passwords, scripted orders."""
    with system_mesh(home) as mesh_file:
        mesh = yaml.safe_load(mesh_file.read_text().replace(FACTORY, FACTORY_HERE))
        mesh["services"]["orders"] = {
            "factory": SCRIPTED,
            "serves": ["acme.retail.orders.v1.OrderService"],
        }
        mesh["systems"] = {"killed": {"services": ["orders", *VICTIMS]}}
        mesh_file.write_text(yaml.safe_dump(mesh))
        write(home, [])
        models = home / ".meshpact" / "models" / "recommendations"
        models.parent.mkdir(parents=True, mode=0o700)
        models.parent.parent.chmod(0o700)
        shutil.copytree(trained_model(), models)
        yield mesh_file


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    rounds = [chance.sample(VICTIMS, chance.randint(1, 3)) for _ in range(given.rounds)]
    with tempfile.TemporaryDirectory(prefix="meshpact-killing-") as folder:
        outcome = asyncio.run(run(Path(folder), rounds, given.seed))
    print(*outcome.faults, outcome._replace(faults=[]), sep="\n")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
