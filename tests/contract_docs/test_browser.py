"""The site in a real browser, from its files: search, colours, copying, by mouse and keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import Watched, launched, stop_clock, watching
from contract_docs.publishing import DEMO, EVIL, HOSTILE, published, shop

SERVICE = "services/demo.v1.DemoService.html"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    published(DEMO, out)
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as found:
        yield found


@pytest.fixture
def watched(browser: Browser, site: Path) -> Iterator[Watched]:
    """A page at the front of the site, from its file; it asks for nothing but the site's files."""
    with watching(browser.new_context(color_scheme="light")) as found:
        found.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        found.page.goto((site / "index.html").as_uri())
        yield found
        assert all(url.startswith(site.as_uri()) for url in found.requests)


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


def searching(page: Page) -> Locator:
    return page.get_by_role("combobox")


def results(page: Page) -> Locator:
    return page.get_by_role("option")


def lies_on(page: Page, colour: str) -> None:
    """Waits until the page has this colour below it."""
    expect(page.locator("body")).to_have_css("background-color", colour)


LIGHT, DARK = "rgb(255, 255, 255)", "rgb(18, 21, 27)"


def test_search_finds_a_method_and_goes_to_it(page: Page) -> None:
    searching(page).fill("whoami")
    expect(results(page).first).to_contain_text("WhoAmI")
    results(page).first.get_by_role("link").click()
    page.wait_for_url(f"**/{SERVICE}#WhoAmI")
    expect(page.locator("[id=WhoAmI]")).to_be_in_viewport()


def test_search_finds_fields_without_their_underscores(page: Page) -> None:
    searching(page).fill("who_am_i")
    expect(results(page).first).to_contain_text("WhoAmI")


def test_every_word_narrows_the_search(page: Page) -> None:
    searching(page).fill("request")
    expect(results(page).nth(1)).to_be_visible()
    many = results(page).count()
    searching(page).fill("request echo")
    expect(results(page).first).to_contain_text("EchoRequest")
    expect(results(page).nth(many - 1)).to_have_count(0)


def test_search_says_that_nothing_was_found(page: Page) -> None:
    searching(page).fill("nothing of that name")
    expect(page.get_by_text("Nothing found.")).to_be_visible()
    expect(results(page)).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"index\.html$"))


def test_the_keyboard_alone_searches_and_opens(page: Page) -> None:
    page.keyboard.press("/")
    expect(searching(page)).to_be_focused()
    page.keyboard.type("count")
    expect(searching(page)).to_have_attribute("aria-expanded", "true")
    expect(results(page).nth(0)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(results(page).nth(0)).to_have_attribute("aria-selected", "false")
    chosen = results(page).nth(1)
    expect(chosen).to_have_attribute("aria-selected", "true")
    active = str(chosen.get_attribute("id"))
    expect(searching(page)).to_have_attribute("aria-activedescendant", active)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")  # from the first to the last
    expect(results(page).last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{SERVICE}#Count")


def test_escape_closes_the_search(page: Page) -> None:
    searching(page).fill("echo")
    expect(page.get_by_role("listbox")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(searching(page)).not_to_be_focused()
    expect(searching(page)).to_have_attribute("aria-expanded", "false")


def test_a_click_elsewhere_closes_the_search(page: Page) -> None:
    searching(page).fill("echo")
    page.locator("footer").click()
    expect(page.get_by_role("listbox")).to_be_hidden()


def test_a_slash_in_the_search_is_a_slash(page: Page) -> None:
    searching(page).fill("a")
    page.keyboard.press("/")
    expect(searching(page)).to_have_value("a/")


def test_the_first_stop_of_the_keyboard_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_the_colours_follow_the_system_until_the_reader_chooses(page: Page) -> None:
    button = page.get_by_role("button", name="Colours")
    expect(button).to_have_accessible_name("Colours: system. Change")
    lies_on(page, LIGHT)
    page.emulate_media(color_scheme="dark")
    lies_on(page, DARK)
    button.press("Enter")
    expect(button).to_have_accessible_name("Colours: light. Change")
    lies_on(page, LIGHT)
    button.press("Space")
    expect(button).to_have_accessible_name("Colours: dark. Change")
    lies_on(page, DARK)
    page.emulate_media(color_scheme="light")
    lies_on(page, DARK)


def test_the_choice_of_colours_stays_for_the_next_page(page: Page) -> None:
    button = page.get_by_role("button", name="Colours")
    button.click()
    button.click()
    page.get_by_role("navigation").get_by_role("link", name="DemoService").click()
    page.wait_for_url(f"**/{SERVICE}")
    expect(page.get_by_role("button", name="Colours")).to_have_accessible_name(
        "Colours: dark. Change"
    )
    lies_on(page, DARK)


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_copy_is_what_the_page_shows(by: str, page: Page, site: Path) -> None:
    stop_clock(page)
    page.goto((site / SERVICE).as_uri())
    figures = page.locator("figure.code")
    assert figures.count() > 10
    for at in (0, figures.count() - 1):
        figure = figures.nth(at)
        button = figure.get_by_role("button")
        if by == "mouse":
            button.click()
        else:
            button.press("Enter")
        expect(button).to_have_text("Copied")
        copied: str = page.evaluate("navigator.clipboard.readText()")
        assert copied == figure.locator("code").text_content()
    page.clock.run_for(2_000)
    expect(figures.first.get_by_role("button")).to_have_text("Copy")


def test_a_copy_that_the_browser_refuses_says_so(watched: Watched, site: Path) -> None:
    page = watched.page
    page.goto((site / SERVICE).as_uri())
    page.evaluate("void (navigator.clipboard.writeText = async () => { throw new Error(); })")
    button = page.locator("figure.code").first.get_by_role("button")
    button.click()
    expect(button).to_have_text("Not copied")


def test_without_scripts_everything_can_be_read(browser: Browser, site: Path) -> None:
    with watching(browser.new_context(java_script_enabled=False)) as watched:
        watched.page.goto((site / SERVICE).as_uri())
        expect(watched.page.get_by_role("heading", name="WhoAmI", exact=True)).to_be_visible()
        expect(watched.page.get_by_role("button")).to_have_count(0)


def test_a_narrow_window_needs_no_scrolling_sideways(browser: Browser, site: Path) -> None:
    narrow = browser.new_context(viewport={"width": 360, "height": 740})
    with watching(narrow) as watched:
        for path in ("index.html", "packages/demo.v1.html", SERVICE):
            watched.page.goto((site / path).as_uri())
            wide: int = watched.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360, path


def test_what_a_contract_says_is_never_run(browser: Browser, tmp_path: Path) -> None:
    out = tmp_path / "out"
    published(shop(tmp_path / "protos", HOSTILE), out, title=EVIL)
    with watching(browser.new_context()) as watched:
        page = watched.page
        for path in sorted(out.rglob("*.html")):
            page.goto(path.as_uri())
            expect(page.locator("script")).to_have_count(1)
            expect(page.locator("img, iframe, object, svg, b, i")).to_have_count(0)
            expect(page.locator("[onerror], [href^=javascript]")).to_have_count(0)
            searching(page).fill("shop")
            expect(results(page)).not_to_have_count(0)
        expect(page).to_have_title(re.compile(re.escape(EVIL)))
        assert all(url.startswith(out.as_uri()) for url in watched.requests)
