"""The portal in a real browser: agents give refunds, a supervisor decides on what is above."""

from __future__ import annotations

import re
import time
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from browser import PATIENCE, leaving, watching
from support.portal import Portal, ask, post, press


def test_an_agent_finds_a_customer_and_gives_a_refund_within_the_limit(
    portal: Portal, chromium: Browser
) -> None:
    with watching(chromium.new_context()) as watched:
        page = portal.enter(watched.page.context, "agent", watched.page)
        page.get_by_label("Number, or how it begins").fill("1258")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("row")).to_have_count(3)
        page.get_by_role("link", name="12583").click()
        expect(page.get_by_role("heading", name="Customer 12583")).to_be_visible()
        page.get_by_role("table", name="Invoices").get_by_role("link").click()
        expect(page.locator("#limit")).to_contain_text("You may give £50.00 back by yourself.")
        expect(page.get_by_role("table", name="Goods")).to_contain_text("85123A")
        ask(page, "40.00")
        expect(page.get_by_role("heading", name="Give £40.00 back?")).to_be_visible()
        expect(page.locator("#what")).to_contain_text("it is given at once")
        press(page, "Give it back", "£40.00 is given back.")
        expect(page.locator("#refunded")).to_have_text("£40.00")
        expect(page.locator("#limit")).to_contain_text("You may give £10.00 back by yourself.")
        expect(page.get_by_role("table", name="Refunds")).to_contain_text("broken on arrival")
        asked = {"/".join(each.split("/")[:3]) for each in watched.requests}
        assert asked == {portal.origin, portal.issuer}


def test_a_number_alone_finds_a_customer_of_the_shop(portal: Portal, chromium: Browser) -> None:
    with watching(chromium.new_context()) as watched:
        page = portal.enter(watched.page.context, "agent", watched.page)
        page.get_by_label("Number, or how it begins").fill("9900")
        page.get_by_label("Country of the last order").fill("Malta")
        page.get_by_role("button", name="Find").click()
        page.get_by_role("link", name="customer-99001").click()
        expect(page.get_by_role("heading", name="Customer customer-99001")).to_be_visible()
        page.goto(portal.origin)
        page.get_by_label("Number, or how it begins").fill("9909")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("status")).to_contain_text("No customer fits.")


def test_what_is_written_wrongly_is_told_at_its_field_and_kept(
    portal: Portal, chromium: Browser
) -> None:
    with chromium.new_context() as context:
        page = portal.enter(context, "agent")
        portal.invoice(page, "15001")
        for amount, reason, words in (
            ("1,50", "broken", "Write an amount such as 12.50"),
            ("0.00", "broken", "more than nothing"),
            ("100.01", "broken", "Only £100.00 can be given back on this invoice."),
            ("10.00", "  no  ", "Give a reason of 3 to 500 characters."),
        ):
            ask(page, amount, reason)
            expect(page.get_by_role("alert")).to_contain_text(words)
            expect(page.get_by_label("Amount in GBP")).to_have_value(amount)
            field = "Reason" if "reason" in words else "Amount in GBP"
            expect(page.get_by_label(field)).to_have_attribute("aria-invalid", "true")
            expect(page.get_by_label(field)).to_be_focused()


def test_a_form_that_is_sent_twice_gives_money_once(portal: Portal, chromium: Browser) -> None:
    with watching(chromium.new_context()) as watched:
        page = portal.enter(watched.page.context, "agent", watched.page)
        address = portal.invoice(page, "16001")
        ask(page, "20")
        form = page.locator("main form")
        sent = {
            name: form.locator(f"input[name={name}]").input_value()
            for name in ("request_id", "amount", "currency", "reason")
        }
        for _ in range(2):
            assert post(portal, page, f"{address}/refund/confirm", **sent).ok
        page.goto(address)
        expect(page.locator("#refunded")).to_have_text("£20.00")


def test_forms_from_elsewhere_change_nothing(portal: Portal, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = portal.enter(context, "agent")
        address = portal.invoice(page, "16002")
        path = f"{address}/refund/confirm"
        sent = {"request_id": address[-36:], "amount": "1", "currency": "GBP", "reason": "theft"}
        assert post(portal, page, path, **sent, csrf="guessed").status == 403
        assert post(portal, page, path, "http://evil.example", **sent).status == 403
        page.goto(address)
        expect(page.locator("#refunded")).to_have_text("£0.00")


def test_what_people_write_is_shown_as_they_wrote_it(portal: Portal, chromium: Browser) -> None:
    written = '<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }} & "quotes" \''
    with watching(chromium.new_context()) as watched:
        page = portal.enter(watched.page.context, "agent", watched.page)
        address = portal.invoice(page, f"<b>{written[:60]}")
        ask(page, "12.00", written)
        expect(page.locator("main")).to_contain_text(written)
        press(page, "Give it back", "£12.00 is given back.")
        expect(page.get_by_role("table", name="Refunds")).to_contain_text(written)
        page.goto(f"{portal.origin}/?number=%3Cb%3E%3Cscript")
        page.get_by_role("link", name="<script>").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("<b><script>alert(1)")
        expect(page.get_by_role("table", name="Refunds")).to_contain_text(written)
        page.goto(f"{portal.origin}/?number={quote(written)}")
        expect(page.get_by_label("Number, or how it begins")).to_have_value(written)
        expect(page.locator("main script, main img, main b")).to_have_count(0)
        assert address in watched.requests


def test_no_cache_keeps_what_is_personal(portal: Portal, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = portal.enter(context, "agent")
        address = portal.invoice(page, "16009")
        for path in (
            "/",
            "/?number=16009",
            "/customers/16009",
            "/customers/nobody",
            "/queue",
            "/nowhere",
            address.removeprefix(portal.origin),
        ):
            answer = page.request.get(portal.origin + path)
            assert answer.headers["cache-control"] == "no-store", path
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert "default-src 'none'" in answer.headers["content-security-policy"], path


def test_a_refund_of_which_nobody_knows_is_sent_again_under_its_name(
    portal: Portal, chromium: Browser
) -> None:
    with chromium.new_context() as context:
        page = portal.enter(context, "agent")
        address = portal.invoice(page, "17001")
        ask(page, "20.00")
        name = page.locator("input[name=request_id]").get_attribute("value")
        portal.mesh.stop("billing")
        with page.expect_response(f"{address}/refund/confirm") as answered:
            page.get_by_role("button", name="Give it back").click()
        assert (answered.value.status, answered.value.headers["retry-after"]) == (503, "5")
        expect(page.get_by_role("alert")).to_contain_text("Whether £20.00 is given back")
        expect(page.locator("input[name=request_id]")).to_have_value(str(name))
        portal.mesh.start("billing")
        done, again = page.locator("#done"), page.get_by_role("button", name="Send it again")
        until = time.monotonic() + PATIENCE / 1000
        while again.is_visible() and time.monotonic() < until:  # it takes a while to be found again
            with leaving(page):
                again.click()
            expect(done.or_(again)).to_be_visible()
        expect(done).to_have_text("£20.00 is given back.")
        expect(page.locator("#refunded")).to_have_text("£20.00")


def test_the_portal_is_used_by_keyboard_alone(portal: Portal, chromium: Browser) -> None:
    with watching(chromium.new_context()) as watched:
        page = portal.enter(watched.page.context, "agent", watched.page)
        portal.invoice(page, "17001")
        page.get_by_label("Amount in GBP").focus()
        page.keyboard.type("5.00")
        page.keyboard.press("Tab")
        page.keyboard.type("a scratch")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Go on")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Give £5.00 back?")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("main")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Give it back")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_have_text("£5.00 is given back.")


def test_without_scripts_everything_works(portal: Portal, chromium: Browser) -> None:
    with (
        watching(chromium.new_context(java_script_enabled=False)) as first,
        watching(chromium.new_context(java_script_enabled=False)) as second,
    ):
        agent = portal.enter(first.page.context, "agent", first.page)
        portal.invoice(agent, "17002")
        ask(agent, "51")
        press(agent, "Ask a supervisor", "£51.00 waits: a supervisor has to decide.")
        supervisor = portal.enter(second.page.context, "supervisor", second.page)
        supervisor.get_by_role("link", name="Waiting refunds").click()
        waiting = supervisor.locator("#queue li").filter(has_text="17002")
        waiting.get_by_role("button", name="Approve").click()
        expect(supervisor.locator("#done")).to_have_text("The refund is given.")


def test_dark_mode_follows_the_system(portal: Portal, chromium: Browser) -> None:
    grounds: list[str] = []
    for scheme in ("light", "dark"):
        with watching(chromium.new_context(color_scheme=scheme)) as watched:
            page = portal.enter(watched.page.context, "agent", watched.page)
            page.goto(f"{portal.origin}/queue")
            grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"]


def test_every_field_has_a_label_and_every_page_one_heading_and_no_sideways_scrolling(
    portal: Portal, chromium: Browser
) -> None:
    small = chromium.new_context(viewport={"width": 360, "height": 640})
    with watching(small) as watched:
        page = portal.enter(small, "supervisor", watched.page)
        address = portal.invoice(page, "17003")
        for path in ("/?number=1", "/customers/17003", address[len(portal.origin) :], "/queue"):
            page.goto(portal.origin + path)
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            nameless = page.evaluate(
                "[...document.querySelectorAll('input:not([type=hidden]),select,textarea')]"
                ".filter(each => !each.labels.length).map(each => each.outerHTML)"
            )
            assert nameless == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_browser_holds_a_cookie_and_no_token(portal: Portal, chromium: Browser) -> None:
    context = chromium.new_context()
    with watching(context) as watched:
        page = portal.enter(context, "agent", watched.page)
        page.goto(f"{portal.origin}/queue")
        stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        assert page.evaluate(stored) == '[{},{},""]'
        for each in context.cookies(portal.origin):
            assert str(each.get("name")).startswith("__Host-")
            assert each.get("httpOnly") and each.get("secure") and each.get("sameSite") == "Lax"
            # No token in the shape of one; cookies know no ports, the issuer's own are among them.
            assert "eyJ" not in str(each.get("value"))
            if str(each.get("name")).startswith("__Host-support-web"):
                assert "." not in str(each.get("value"))
        assert "eyJ" not in page.content()


def test_a_wrong_password_lets_nobody_in_and_the_right_one_does(
    portal: Portal, chromium: Browser
) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(portal.origin)
        page.get_by_label("Name").fill("agent")
        page.get_by_label("Password").fill("not the password of the agent")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page).to_have_url(re.compile(re.escape(portal.issuer)))
        page.get_by_label("Name").fill("agent")
        page.get_by_label("Password").fill(portal.password("agent"))
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Find a customer")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Password")).to_be_visible()
        page.goto(portal.origin)
        expect(page.get_by_label("Password")).to_be_visible()


def test_whoever_is_no_member_of_support_is_told_so(portal: Portal, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        portal.sign_in(page, "analyst")
        expect(page.get_by_role("alert")).to_contain_text("Your account may not use this page.")


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/customers/nobody", 404, "There is no customer of that number."),
        ("/invoices/00000000-0000-4000-8000-000000000000", 404, "There is no invoice"),
        ("/invoices/1%20OR%201", 404, "Not Found"),
        ("/?number=1&page=nonsense", 400, "page_token"),
        ("/nowhere", 404, "Not Found"),
    ],
)
def test_addresses_that_lead_nowhere_say_so(
    portal: Portal, chromium: Browser, path: str, status: int, words: str
) -> None:
    with chromium.new_context() as context:
        page = portal.enter(context, "agent")
        answer = page.goto(portal.origin + path)
        assert answer is not None
        assert answer.status == status
        expect(page.get_by_role("alert")).to_contain_text(words)
