"""The support portal for tests in a browser: people of the staff, their pages, their forms."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import APIResponse, BrowserContext, Page, expect

from browser import PATIENCE, leaving
from meshpact.testing.blocking import BlockingMesh
from meshpact.testing.mesh import LocalMesh
from salesfeed import PLACED, Feed, Line
from support.desk import new_id, order
from systemmesh import origins, system_mesh

LINES: Final = (("22423", 4, 12_75), ("85123A", 6, 2_55))


class Portal:
    """The system with its page at `origin`."""

    def __init__(self, mesh: BlockingMesh, feed: Feed, origin: str, issuer: str, home: Path):
        self.mesh = mesh
        self.feed = feed
        self.origin = origin
        self.issuer = issuer
        self.home = home
        self.cookies: dict[str, list[Any]] = {}

    def password(self, account: str) -> str:
        """What a member of the staff signs in with."""
        lines = (self.home / "state/identity/staff-passwords").read_text().splitlines()
        return dict(line.split() for line in lines)[account]

    def sign_in(self, page: Page, account: str) -> None:
        """As a person does."""
        page.goto(self.origin)
        page.get_by_label("Name").fill(account)
        page.get_by_label("Password").fill(self.password(account))
        page.get_by_role("button", name="Sign in").click()

    def enter(self, context: BrowserContext, account: str, page: Page | None = None) -> Page:
        """A page that is signed in; the account signs in once for all tests."""
        page = page or context.new_page()
        if account not in self.cookies:
            self.sign_in(page, account)
            expect(page.get_by_role("heading", name="Find a customer")).to_be_visible()
            self.cookies[account] = context.cookies()
        context.add_cookies(self.cookies[account])
        page.goto(self.origin)
        return page

    def invoice(self, page: Page, customer: str, lines: tuple[Line, ...] = LINES) -> str:
        """Lets the customer order for 100 pounds, and opens the invoice; its address."""
        charges = 0 if lines is not LINES else 33_70
        events = order((PLACED, lines), customer=customer, charges=charges)
        self.mesh.run(self.feed.add(*events))
        address = f"{self.origin}/invoices/{events[0].order_id}"
        until = time.monotonic() + PATIENCE / 1000
        while (status := page.request.get(address).status) != 200:
            # Billing follows orders; after it was away, it takes a while to be found again.
            assert status in (404, 503) and time.monotonic() < until, status
        page.goto(address)
        return address


@contextlib.contextmanager
def running_portal(home: Path) -> Generator[Portal]:
    """The system, running in this process, with three customers' orders."""
    feed = Feed(
        *order((PLACED, LINES), customer="12583", country="France", at=1_320_000_000),
        *order((PLACED, LINES), customer="12584", country="France", at=1_320_100_000),
        *order((PLACED, LINES), customer="customer-99001", country="Malta", at=1_320_100_000),
    )
    with system_mesh(home) as mesh_file:
        origin, issuer = origins(mesh_file, "support-web")
        made = LocalMesh(
            mesh_file,
            state=home / "state",
            services=["identity", "billing", "support-web"],
            servicers={"orders": feed.servicer},
            keep_issuers=[issuer],
        )
        with BlockingMesh(made) as mesh:
            yield Portal(mesh, feed, origin, issuer, home)


def ask(page: Page, amount: str, reason: str = "broken on arrival") -> None:
    """Sends the form of an invoice; the page that answers is there."""
    page.get_by_label("Amount in GBP").fill(amount)
    page.get_by_label("Reason").fill(reason)
    with leaving(page):
        page.get_by_role("button", name="Go on").click()


def press(page: Page, button: str, told: str) -> None:
    """Sends a form of one button, and waits until the page says what came of it."""
    with leaving(page):
        page.get_by_role("button", name=button).click()
    expect(page.locator("#done")).to_have_text(told)


def post(portal: Portal, page: Page, path: str, origin: str = "", **fields: str) -> APIResponse:
    """Sends a form as a page of the portal would, or another one."""
    csrf = page.locator("input[name=csrf]").first.get_attribute("value")
    form: dict[str, str | float | bool] = {
        "csrf": str(csrf),
        "request_id": new_id(),
        **fields,
    }
    where = path if path.startswith("http") else portal.origin + path
    return page.request.post(where, form=form, headers={"origin": origin or portal.origin})
