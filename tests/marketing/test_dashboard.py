"""The dashboard in a real browser: signed in at the real authorization server, fed by calls."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from acme.retail.store.v1 import store_pb2
from acme.retail.store.v1.store_mesh import StoreServiceBase
from browser import Held, launched, stop_clock, watching
from meshpact.servers.codegen import Call
from meshpact.testing.blocking import BlockingMesh
from meshpact.testing.mesh import LocalMesh
from meshpact.testing.standin import stand_in
from reference.web.streams import SESSION
from salesfeed import PLACED, RETURNED, Feed, event
from systemmesh import origins, system_mesh

AUDIENCE = "marketing.acme.example"
NOON = 1_700_049_600
TOLD_BY_KEY = """
let live;
const Real = EventSource;
EventSource = function (url) { return (live = new Real(url)); };
EventSource.CLOSED = Real.CLOSED;
addEventListener("keydown", () => live.dispatchEvent(new MessageEvent("signin")));
"""
"""Any key tells the page that its session has ended, as the events do."""
NAME = "WHITE HANGING HEART T-LIGHT HOLDER"


async def list_products(
    request: store_pb2.ListProductsRequest, call: Call, /
) -> store_pb2.ListProductsResponse:
    return store_pb2.ListProductsResponse(
        products=[store_pb2.Product(sku="85123A", description=NAME)]
    )


class Dashboard:
    """The system with its page at `origin`."""

    def __init__(
        self, mesh: BlockingMesh, feed: Feed, origin: str, issuer: str, state: Path
    ) -> None:
        self.mesh = mesh
        self.feed = feed
        self.origin = origin
        self.issuer = issuer
        self._state = state

    def password(self, account: str) -> str:
        """What a member of the staff signs in with."""
        lines = (self._state / "identity" / "staff-passwords").read_text().splitlines()
        return dict(line.split() for line in lines)[account]

    def sign_in(self, page: Page, account: str = "analyst") -> None:
        """As a person does."""
        page.goto(self.origin)
        page.get_by_label("Name").fill(account)
        page.get_by_label("Password").fill(self.password(account))
        page.get_by_role("button", name="Sign in").click()


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    home = tmp_path_factory.mktemp("dashboard")
    feed = Feed(
        event(PLACED, ("85123A", 6, 255), country="Norway", at=NOON),
        event(PLACED, ("22423", 2, 1275), country="France", at=NOON - 3600),
    )
    with system_mesh(home) as mesh_file:
        origin, issuer = origins(mesh_file, "dashboard-web")
        made = LocalMesh(
            mesh_file,
            state=home / "state",
            services=["identity", "sales", "dashboard-web"],
            servicers={
                "orders": feed.servicer,
                "store": stand_in(StoreServiceBase, list_products=list_products),
            },
            keep_issuers=[issuer],
        )
        with BlockingMesh(made) as mesh:
            yield Dashboard(mesh, feed, origin, issuer, home / "state")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as found:
        yield found


def test_totals_change_on_the_page_as_orders_happen(
    dashboard: Dashboard, chromium: Browser
) -> None:
    with watching(chromium.new_context()) as watched:
        page = watched.page
        dashboard.sign_in(page)
        expect(page.locator("#state")).to_have_text("Live")
        table = page.locator("#countries-table")
        expect(table.get_by_role("row", name="Norway")).to_contain_text("£15.30")
        expect(page.locator("#products-table")).to_contain_text(f"{NAME} (85123A)")
        page.evaluate("window.loadedOnce = true")
        dashboard.mesh.run(
            dashboard.feed.add(
                event(PLACED, ("85123A", 100, 255), country="Norway", at=NOON),
                event(RETURNED, ("22423", 1, 1275), country="France", at=NOON),
            )
        )
        expect(table.get_by_role("row", name="Norway")).to_contain_text("£270.30")
        expect(table.get_by_role("row", name="France")).to_contain_text("£12.75")
        assert page.evaluate("window.loadedOnce") is True
        chart = page.locator("#countries-chart svg")
        expect(chart).to_have_attribute(
            "aria-label", "Revenue by country: 2 bars, the largest Norway with £270.30"
        )
        asked = {"/".join(each.split("/")[:3]) for each in watched.requests}
        assert asked <= {dashboard.origin, dashboard.issuer}


def test_a_page_that_loses_its_connection_goes_on_without_a_gap(
    dashboard: Dashboard, chromium: Browser
) -> None:
    with watching(chromium.new_context()) as watched:
        page = watched.page
        dashboard.sign_in(page)
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#orders")).not_to_have_text("-")
        before = int(page.locator("#orders").inner_text())
        for number in range(1, 4):
            dashboard.mesh.stop("sales")
            expect(page.locator("#state")).to_have_text("Waiting for the sales database")
            dashboard.mesh.run(dashboard.feed.add(event(PLACED, ("A1", 1, 100), at=NOON)))
            dashboard.mesh.start("sales")
            expect(page.locator("#orders")).to_have_text(str(before + number))
            expect(page.locator("#state")).to_have_text("Live")


def test_the_hours_can_be_chosen_by_keyboard(dashboard: Dashboard, chromium: Browser) -> None:
    with watching(chromium.new_context()) as watched:
        page = watched.page
        dashboard.sign_in(page)
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#countries-table")).to_contain_text("Norway")
        page.get_by_label("Hours", exact=True).focus()
        page.keyboard.press("End")
        expect(page.locator("#countries-chart")).to_contain_text("Nothing was sold")
        expect(page.locator("#countries-table tbody tr")).to_have_count(0)
        expect(page).to_have_url(re.compile(r"\?window=7d$"))


def test_hours_that_are_chosen_before_the_script_runs_count(
    dashboard: Dashboard, chromium: Browser
) -> None:
    with watching(chromium.new_context()) as watched:
        page = watched.page
        script = Held(page, "**/dashboard.js")
        dashboard.sign_in(page)
        hours = page.get_by_label("Hours", exact=True)
        hours.focus()
        page.keyboard.press("End")
        expect(hours).to_have_value("7d")
        script.first().continue_()
        expect(page.locator("#countries-chart")).to_contain_text("Nothing was sold")
        expect(page).to_have_url(re.compile(r"\?window=7d$"))


def test_a_browser_with_too_many_live_pages_is_told_so_and_waits(
    dashboard: Dashboard, chromium: Browser
) -> None:
    context = chromium.new_context()
    with watching(context) as watched, contextlib.ExitStack() as others:
        page = watched.page
        dashboard.sign_in(page)
        expect(page.locator("#state")).to_have_text("Live")
        cookies = {str(each.get("name")): str(each.get("value")) for each in context.cookies()}
        headers = {
            "cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "accept": "text/event-stream",
        }
        client = others.enter_context(httpx.Client(base_url=dashboard.origin, headers=headers))
        for _ in range(SESSION - 1):
            answer = others.enter_context(client.stream("GET", "/totals"))
            assert answer.status_code == 200
        full = client.get("/totals")
        assert (full.status_code, full.headers["retry-after"]) == (429, "10")
        assert full.headers["cache-control"] == "no-store"
        error = full.json()["error"]
        assert error["message"] == f"This browser shows {SESSION} live pages already. Close one."
        assert error["details"][0]["reason"] == "TOO_MANY_STREAMS"
        one_more = others.enter_context(context.new_page())
        stop_clock(one_more)
        one_more.goto(dashboard.origin)
        expect(one_more.locator("#state")).to_have_text("Connecting again")
        one_more.clock.fast_forward(2_000)
        expect(one_more.locator("#state")).to_have_text(error["message"])
        asked = [each for each in watched.requests if each.endswith("/totals?window=all")]
        assert len(asked) == 1
        page.close()
        while client.get("/totals/room").status_code == 429:
            pass
        one_more.clock.fast_forward(90_000)
        expect(one_more.locator("#state")).to_have_text("Live")


def test_dark_mode_follows_the_system(dashboard: Dashboard, chromium: Browser) -> None:
    grounds: list[str] = []
    for scheme in ("light", "dark"):
        with watching(chromium.new_context(color_scheme=scheme)) as watched:
            dashboard.sign_in(watched.page)
            expect(watched.page.locator("#state")).to_have_text("Live")
            script = "getComputedStyle(document.body).backgroundColor"
            grounds.append(watched.page.evaluate(script))
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_a_small_screen_shows_all_of_it_at_a_size_that_can_be_read(
    dashboard: Dashboard, chromium: Browser
) -> None:
    long = event(PLACED, ("85123A", 100_000_000, 4455), country="Unspecified Islands", at=NOON)
    with watching(chromium.new_context(viewport={"width": 360, "height": 640})) as watched:
        page = watched.page
        dashboard.sign_in(page)
        expect(page.locator("#state")).to_have_text("Live")
        hours = (event(PLACED, ("A1", 1, 100), at=NOON - 3600 * hour) for hour in range(46))
        dashboard.mesh.run(dashboard.feed.add(*hours, long))
        expect(page.locator("#countries-table")).to_contain_text("Unspecified Islands")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # In one step: the chart is drawn anew with each total and each name.
        shown = page.evaluate(
            "(each => each.clientWidth / each.viewBox.baseVal.width)"
            "(document.querySelector('#countries-chart svg'))"
        )
        assert shown >= 0.95, "the chart is not shrunk, its words would be"
        cut = page.evaluate(
            "(end => [...document.querySelectorAll('.chart text')].filter(each =>"
            " end(each) > end(each.closest('svg'))).map(each => each.textContent)"
            ")(each => each.getBoundingClientRect().right)"
        )
        assert cut == [], "no words end beyond the chart"


def test_without_scripts_the_page_tells_how_it_stands(
    dashboard: Dashboard, chromium: Browser
) -> None:
    with watching(chromium.new_context(java_script_enabled=False)) as watched:
        dashboard.sign_in(watched.page)
        expect(watched.page.locator("#countries-table")).to_contain_text("Norway")


def test_the_browser_holds_a_cookie_and_no_token(dashboard: Dashboard, chromium: Browser) -> None:
    context = chromium.new_context()
    with watching(context) as watched:
        dashboard.sign_in(watched.page)
        expect(watched.page.locator("#state")).to_have_text("Live")
        cookies = context.cookies(dashboard.origin)
        # Cookies know no ports: the authorization server's own is among them.
        names = {each.get("name") for each in cookies}
        assert {"__Host-dashboard-web-session", "__Host-identity-session"} <= names
        assert all(each.get("httpOnly") and each.get("secure") for each in cookies)
        stored = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
        assert watched.page.evaluate(stored) == "[{},{}]"
        assert "eyJ" not in watched.page.content()


def test_who_signs_out_sees_no_more(dashboard: Dashboard, chromium: Browser) -> None:
    with watching(chromium.new_context()) as watched:
        page = watched.page
        dashboard.sign_in(page)
        expect(page.locator("#state")).to_have_text("Live")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Password")).to_be_visible()
        page.goto(dashboard.origin)
        expect(page.get_by_label("Password")).to_be_visible()


def test_who_signs_out_while_orders_happen_stays_signed_out(
    dashboard: Dashboard, chromium: Browser
) -> None:
    with watching(chromium.new_context()) as watched:
        page = watched.page
        page.add_init_script(TOLD_BY_KEY)
        dashboard.sign_in(page)
        expect(page.locator("#state")).to_have_text("Live")
        form = Held(page, "**/logout")
        page.get_by_role("button", name="Sign out").click(no_wait_after=True)
        sent = form.first()
        page.keyboard.press("F9")
        sent.continue_()
        expect(page.get_by_label("Password")).to_be_visible()


def test_a_late_answer_does_not_change_what_the_page_says_of_its_connection(
    dashboard: Dashboard, chromium: Browser
) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        full = {"error": {"message": "Too many live pages are open at the moment."}}
        page.route("**/totals?window=all", lambda route: route.fulfill(status=429, json=full))
        why = Held(page, "**/totals/room")
        stop_clock(page)
        dashboard.sign_in(page)
        expect(page.locator("#state")).to_have_text("Connecting again")
        page.clock.run_for(2_000)
        asked = why.first()
        page.get_by_label("Hours", exact=True).select_option("24h")
        expect(page.locator("#state")).to_have_text("Live")
        asked.fulfill(status=429, json=full)
        page.unroute("**/totals/room")
        page.evaluate("fetch('/totals/room')")  # the page has read the one before then
        expect(page.locator("#state")).to_have_text("Live")


def test_products_get_their_names_though_the_first_try_fails(
    dashboard: Dashboard, chromium: Browser
) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.route("**/names", lambda route: route.abort(), times=1)
        page.clock.install()
        dashboard.sign_in(page)
        expect(page.locator("#products-table")).to_contain_text("85123A")
        page.clock.fast_forward(5_000)
        expect(page.locator("#products-table")).to_contain_text(f"{NAME} (85123A)")
        assert faults == []


def test_whoever_is_no_analyst_is_told_so(dashboard: Dashboard, chromium: Browser) -> None:
    context = chromium.new_context()
    page = context.new_page()
    dashboard.sign_in(page, "agent")
    expect(page.locator("main")).not_to_contain_text("Revenue")
    told = page.get_by_role("alert")
    expect(told).to_contain_text("Your account may not use this page.")
    expect(told).to_contain_text(f"sign out at {dashboard.issuer} first")
    page.goto(dashboard.issuer)
    page.get_by_role("button", name="Sign out").first.click()
    expect(page.get_by_role("link", name="make an account")).to_be_visible()
    dashboard.sign_in(page)
    expect(page.locator("#state")).to_have_text("Live")
    context.close()
