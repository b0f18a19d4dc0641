"""The page in a real browser, over real processes: signing in, search, playing, profiles."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser import Watched, launched, leaving, watching
from meshpact.mesh.state import State
from streamingmesh import trained_model
from systemmesh import origins, system_mesh
from upmesh import Up

PASSWORD: Final = "correct horse battery staple"
HOLDING: Final = """
const real = window.fetch, held = [];
let open = false;
window.fetch = (...asked) => open
  ? real(...asked)
  : new Promise((done) => held.push(() => real(...asked).then(done)));
window.release = async () => {
  while (held.length) await held.pop()();
  open = true;
};
"""
"""Requests wait; `release` lets the latest go first, as far as several wait at once."""
GROWN_UP: Final = "/titles/s2"
"""A title for ages 17 and up."""


class Site(NamedTuple):
    """Where the page is, and an account's cookies with two profiles' addresses."""

    origin: str
    issuer: str
    cookies: list[Any]
    adult: str
    kid: str
    other: str
    """A profile of another account."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as found:
        yield found


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("streaming")
    state = State(home / ".meshpact")
    state.create()
    shutil.copytree(trained_model(), state.root / "models" / "recommendations")
    with (
        system_mesh(home) as mesh,
        Up(home, mesh, "--system", "streaming", "--state", state.root) as up,
    ):
        up.ready()
        origin, issuer = origins(mesh, "streaming-web")
        # Not watched: while services find each other, pages may answer that they do not yet.
        with browser.new_context() as context:
            page = context.new_page()
            sign_up(page, origin, "viewer-two")
            others = add_profile(page, "Other", "Adults")
        with browser.new_context() as context:
            page = context.new_page()
            sign_up(page, origin, "viewer-one")
            adult = add_profile(page, "Grown-up", "Adults")
            kid = add_profile(page, "Child", "Small children")
            cookies = cast("list[Any]", context.cookies())
        for path in (adult, kid):
            settled(origin + path, cookies)
        yield Site(origin, issuer, cookies, adult, kid, others)


def settled(url: str, cookies: list[Any]) -> None:
    """Waits until the services behind a page have found each other."""
    sent = "; ".join(f"{each['name']}={each['value']}" for each in cookies)
    until = time.monotonic() + 60
    while True:
        answer = httpx.get(url, headers={"cookie": sent, "accept": "text/html"}, timeout=30)
        if answer.status_code == 200:
            return
        assert answer.status_code in (503, 504) and time.monotonic() < until, answer.text
        time.sleep(0.2)


def sign_up(page: Page, origin: str, name: str) -> None:
    """A new account, by the way that people take."""
    page.goto(origin)
    page.get_by_role("link", name="Sign in or sign up").click()
    page.get_by_role("link", name="Make one").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    asked = page.get_by_role("heading", name="Who is watching?")
    again = page.get_by_role("link", name="Try again")  # offered while the machine is too busy
    for _ in range(10):
        expect(asked.or_(again)).to_be_visible()
        if asked.is_visible():
            return
        with leaving(page):
            again.click()
    expect(asked).to_be_visible()


def add_profile(page: Page, name: str, limit: str) -> str:
    """A new profile; its path."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("May watch what is for").select_option(label=limit)
    page.get_by_role("button", name="Add").click()
    link = page.get_by_role("link", name=name)
    expect(link).to_be_visible()
    return str(link.get_attribute("href"))


def first_title(page: Page, profile: str) -> str:
    """Opens the first title that a profile finds; its name."""
    page.goto(f"{profile}/search")
    link = page.locator("#found a").first
    name = link.inner_text()
    with leaving(page):
        link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    return name


def signed_in(browser: Browser, site: Site, **options: Any) -> BrowserContext:
    """A window of the account."""
    context = browser.new_context(base_url=site.origin, **options)
    context.add_cookies(site.cookies)
    return context


@pytest.fixture
def watched(browser: Browser, site: Site) -> Iterator[Watched]:
    with watching(signed_in(browser, site)) as found:
        yield found
        assert {url.split("/", 3)[2] for url in found.requests} == {site.origin[len("http://") :]}


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


def test_a_search_leads_to_a_title_and_playing_it_to_what_is_next(page: Page, site: Site) -> None:
    page.goto(site.adult)
    page.get_by_label("Search for a title").fill("narcos")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("status")).to_have_text("3 titles found.")
    page.get_by_label("Kind").select_option("series")
    with leaving(page):
        page.get_by_role("button", name="Search").click()
    expect(page.get_by_label("Kind")).to_have_value("series")
    with leaving(page):
        page.get_by_role("link", name="Narcos", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Narcos")
    before = page.locator("#next-up").inner_text()
    page.get_by_role("button", name="Watched to the end").click()
    expect(page.locator("#said")).to_have_text("Watched. Next up has changed.")
    expect(page.locator("#next-up li").first).to_have_text("Narcos: Mexico")
    assert page.locator("#next-up").inner_text() != before
    with leaving(page):
        page.locator("#next-up a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Narcos: Mexico")
    following = page.locator("#next-up li").all_inner_texts()
    assert len(following) == 10 and "Narcos: Mexico" not in following
    page.goto(site.adult)
    expect(page.locator("#for-you li").first).to_contain_text("like Narcos")


def test_pages_of_a_search_go_on_where_the_one_before_ended(page: Page, site: Site) -> None:
    page.goto(f"{site.adult}/search?genre=Anime+Features")
    expect(page.get_by_role("status")).to_have_text("71 titles found.")
    names: list[str] = []
    while True:
        names += page.locator("#found a").all_inner_texts()
        more = page.get_by_role("link", name="More titles")
        if not more.count():
            break
        with leaving(page):
            more.click()
    assert len(names) == len(set(names)) == 71


def test_what_was_begun_is_gone_on_with_rated_and_forgotten(page: Page, site: Site) -> None:
    page.goto(f"{site.kid}/search?q=pokemon+indigo")
    expect(page.get_by_role("status")).to_have_text("0 titles found.")
    name = first_title(page, site.kid)
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#said")).to_have_text("Playing. Next up has changed.")
    page.get_by_label("Position").fill("600")
    page.get_by_role("button", name="Go to").click()
    expect(page.locator("#said")).to_have_text("The position is kept.")
    page.get_by_label("Stars").select_option("4")
    page.get_by_role("button", name="Rate").click()
    expect(page.locator("#said")).to_have_text("Thank you. Next up has changed.")
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Go on watching")).to_be_visible()
    expect(page.get_by_text("at minute 10")).to_be_visible()
    page.get_by_role("link", name="History").click()
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("at minute 10")
    expect(row.get_by_role("cell").last).to_have_text("4")
    page.get_by_role("button", name="Delete the history").click()
    expect(page.get_by_text("Nothing was watched yet.")).to_be_visible()


@pytest.mark.parametrize(
    ("whose", "path", "words"),
    [
        ("kid", GROWN_UP, "is for ages 17 and up"),
        ("other", "", "is not one of yours"),
        ("other", GROWN_UP, "is not one of yours"),
        ("other", "/search", "is not one of yours"),
        ("other", "/history", "is not one of yours"),
    ],
)
def test_what_may_not_be_seen_is_refused_with_the_reason(
    browser: Browser, site: Site, whose: str, path: str, words: str
) -> None:
    with signed_in(browser, site) as context:
        page = context.new_page()
        answer = page.goto(getattr(site, whose) + path)
        assert answer is not None
        assert answer.status == 403
        expect(page.get_by_role("alert")).to_contain_text(words)


def test_a_refused_event_is_told_on_the_page(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as context:
        page = context.new_page()
        first_title(page, site.kid)
        # As if the title had been another one: the service refuses, whatever the page says.
        page.evaluate(
            "path => document.getElementById('watch').dataset.events = path",
            f"{site.kid}{GROWN_UP}/events",
        )
        page.get_by_role("button", name="Play").click()
        expect(page.locator("#said")).to_contain_text("is for ages 17 and up")


def test_what_is_pressed_one_after_the_other_is_sent_so(page: Page, site: Site) -> None:
    page.add_init_script(HOLDING)
    page.goto(f"{site.adult}{GROWN_UP}")
    page.get_by_role("button", name="Play").click()
    page.get_by_label("Stars").select_option("3")
    page.get_by_role("button", name="Rate").click()
    page.evaluate("release()")
    expect(page.locator("#said")).to_have_text("Thank you. Next up has changed.")
    page.goto(f"{site.adult}/history")
    row = page.get_by_role("row").filter(has_text="Blood & Water")
    expect(row.get_by_role("cell").last).to_have_text("3")


def test_what_cannot_be_sent_is_told_in_words(browser: Browser, site: Site) -> None:
    with signed_in(browser, site) as context:
        page = context.new_page()
        page.goto(f"{site.adult}{GROWN_UP}")
        page.route("**/events", lambda route: route.abort())
        page.get_by_role("button", name="Play").click()
        expect(page.locator("#said")).to_have_text("That could not be sent. Try again.")


def test_without_scripts_the_same_forms_work(browser: Browser, site: Site) -> None:
    with watching(signed_in(browser, site, java_script_enabled=False)) as found:
        page = found.page
        page.goto(f"{site.adult}{GROWN_UP}")
        with leaving(page):
            page.get_by_role("button", name="Play").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Blood & Water")
        page.goto(f"{site.adult}/history")
        expect(page.get_by_role("link", name="Blood & Water")).to_be_visible()


def test_a_form_from_elsewhere_changes_nothing(site: Site) -> None:
    cookies = {each["name"]: each["value"] for each in site.cookies}
    form = {"kind": "started", "csrf": "guessed"}
    for headers in ({"origin": site.origin}, {"origin": "http://evil.example"}):
        answer = httpx.post(
            f"{site.origin}{site.adult}{GROWN_UP}/events",
            data=form,
            headers={**headers, "cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())},
        )
        assert answer.status_code == 403


def test_who_is_not_signed_in_is_led_to_the_sign_in(site: Site) -> None:
    answer = httpx.get(f"{site.origin}{site.adult}", headers={"accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")


def test_the_browser_holds_a_cookie_and_no_token(page: Page, site: Site) -> None:
    page.goto(site.adult)
    stored = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert json.loads(stored) == [{}, {}, ""]
    cookies = cast("list[dict[str, Any]]", page.context.cookies())
    own = [each for each in cookies if each["name"].startswith("__Host-streaming")]
    assert [each["name"] for each in own] == ["__Host-streaming-web-session"]
    for each in own:
        assert each["httpOnly"] and each["secure"] and each["sameSite"] == "Lax"
        assert "." not in each["value"]  # no token in the shape of one
    assert "eyJ" not in page.content()


def test_every_field_has_a_label_and_every_page_one_heading(page: Page, site: Site) -> None:
    for path in (
        "/profiles",
        site.adult,
        f"{site.adult}/search",
        f"{site.adult}{GROWN_UP}",
        f"{site.adult}/history",
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        nameless = page.evaluate(
            "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')]"
            ".filter(each => !each.labels.length).map(each => each.outerHTML)"
        )
        assert nameless == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_page_is_used_by_keyboard_alone(page: Page, site: Site) -> None:
    page.goto(f"{site.adult}{GROWN_UP}")
    page.get_by_role("button", name="Play").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_have_text("Playing. Next up has changed.")
    page.get_by_label("Position").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Position")).to_have_value("60")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Go to")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_have_text("The position is kept.")


def test_it_is_dark_where_people_want_it_dark(browser: Browser, site: Site) -> None:
    grounds: dict[str, str] = {}
    for scheme in ("light", "dark"):
        with watching(signed_in(browser, site, color_scheme=scheme)) as found:
            found.page.goto(site.adult)
            grounds[scheme] = found.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert grounds["light"] == "rgb(255, 255, 255)"
    assert grounds["dark"] != grounds["light"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/search?type=radio", 400),
        ("/search?decade=nineties", 400),
        ("/search?decade=99999999999", 400),
        ("/search?page_token=nonsense", 400),
        ("/titles/s99999", 404),
        ("/titles/1%20OR%201", 400),
        ("/nowhere", 404),
    ],
)
def test_addresses_that_lead_nowhere_say_so(
    browser: Browser, site: Site, path: str, status: int
) -> None:
    with signed_in(browser, site) as context:
        answer = context.new_page().goto(site.adult + path)
        assert answer is not None
        assert answer.status == status
