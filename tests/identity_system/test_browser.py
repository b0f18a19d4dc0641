"""A real browser signs up, in and out: cookies, redirects and the content policy as it has them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from browser import program
from identityworld import PASSWORD, World, new_login

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chrome() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=program(), args=root)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(chrome: Browser) -> AsyncIterator[Page]:
    context = await chrome.new_context()
    made = await context.new_page()
    faults: list[str] = []
    made.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    made.on("pageerror", lambda error: faults.append(str(error)))
    yield made
    await context.close()
    assert [text for text in faults if "status of 4" not in text] == [], "nothing was blocked"


async def test_a_person_signs_up_out_and_in_again(world: World, page: Page) -> None:
    login = new_login()
    await page.goto(f"{world.site}/mine")
    await expect(page).to_have_title("Sign in - Identity")
    await page.get_by_role("link", name="Make one").click()
    await page.get_by_label("Name").fill(login)
    await page.get_by_label("Password", exact=True).fill("password1234")
    await page.get_by_label("Password, once more").fill("password1234")
    await page.get_by_role("button", name="Make the account").click()
    await expect(page.get_by_role("alert")).to_contain_text("commonest")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_label("Password, once more").fill(PASSWORD)
    await page.get_by_role("button", name="Make the account").click()
    await page.wait_for_url(f"{world.site}/mine")
    await expect(page.locator("body")).to_contain_text(login)
    cookies: list[Any] = list(await page.context.cookies())
    assert all(each["name"].startswith("__Host-") and each["httpOnly"] for each in cookies)
    stored = "JSON.stringify([Object.keys(localStorage), Object.keys(sessionStorage)])"
    assert await page.evaluate(stored) == "[[],[]]", "no token in the browser's storage"

    await page.goto(world.site)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("body")).to_have_text("nobody")
    await expect(page).to_have_url(f"{world.site}/")

    await page.goto(f"{world.site}/mine")
    await page.get_by_label("Name").fill(login)
    await page.get_by_label("Password").fill("a wrong password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("name or the password is wrong")
    await page.get_by_label("Name").fill(login)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{world.site}/mine")


async def test_a_small_screen_shows_the_account_without_scrolling_sideways(
    world: World, page: Page
) -> None:
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.goto(f"{world.issuer}/signup")
    await page.get_by_label("Name").fill(new_login())
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_label("Password, once more").fill(PASSWORD)
    await page.get_by_role("button", name="Make the account").click()
    await expect(page.get_by_role("table")).to_contain_text("(this one)")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_word_can_be_read_in_the_light_and_in_the_dark(
    world: World, page: Page, scheme: Any
) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.goto(f"{world.issuer}/signup")
    contrasts: list[list[Any]] = await page.evaluate(CONTRASTS)
    assert len(contrasts) > 5
    assert [each for each in contrasts if each[1] < 4.5] == [], "WCAG 2.2, 1.4.3"
    unnamed = await page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden])')]"
        ".filter(each => !each.labels.length).length"
    )
    assert unnamed == 0, "each field has a label"


CONTRASTS = """
() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => numbers(colour).slice(0, 3).map(part => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  return [...document.querySelectorAll('h1, p, a, label, button, span')]
    .filter(each => each.innerText && each.innerText.trim())
    .map(each => {
      const [one, other] = [luminance(getComputedStyle(each).color), luminance(ground(each))];
      return [each.innerText, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)];
    });
}
"""
