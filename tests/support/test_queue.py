"""The queue of refunds in a real browser: what waits, who decides, and that it keeps itself up."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from browser import leaving, watching
from support.portal import Portal, ask, post, press


def test_above_the_limit_a_supervisor_decides_in_another_browser(
    portal: Portal, chromium: Browser
) -> None:
    with (
        watching(chromium.new_context()) as first,
        watching(chromium.new_context()) as second,
    ):
        agent = portal.enter(first.page.context, "agent", first.page)
        supervisor = portal.enter(second.page.context, "supervisor", second.page)
        supervisor.goto(f"{portal.origin}/queue")
        expect(supervisor.locator("#count")).to_have_text("0 refunds wait.")
        invoice = portal.invoice(agent, "13001")
        ask(agent, "60")
        expect(agent.locator("#what")).to_contain_text("waits until a supervisor decides")
        press(agent, "Ask a supervisor", "£60.00 waits: a supervisor has to decide.")
        expect(agent.locator("#refunded")).to_have_text("£0.00")
        # The queue shows it by itself, and keeps what is being written.
        waiting = supervisor.locator("#queue li").filter(has_text="13001")
        expect(waiting).to_contain_text("broken on arrival")
        waiting.get_by_label("Why not?").fill("let me think")
        agent.goto(invoice)
        ask(agent, "30")
        press(agent, "Give it back", "£30.00 is given back.")
        portal.invoice(agent, "13002")
        ask(agent, "70")
        press(agent, "Ask a supervisor", "£70.00 waits: a supervisor has to decide.")
        expect(supervisor.locator("#count")).to_have_text("2 refunds wait.")
        expect(waiting.get_by_label("Why not?")).to_have_value("let me think")
        with leaving(supervisor):
            waiting.get_by_role("button", name="Approve").click()
        expect(supervisor.locator("#done")).to_have_text("The refund is given.")
        expect(supervisor.locator("#count")).to_have_text("1 refund waits.")
        agent.goto(invoice)
        expect(agent.locator("#refunded")).to_have_text("£90.00")
        other = supervisor.locator("#queue li").filter(has_text="13002")
        other.get_by_label("Why not?").fill("a replacement was sent")
        with leaving(supervisor):
            other.get_by_role("button", name="Turn down").click()
        expect(supervisor.locator("#done")).to_have_text("The refund is turned down.")
        expect(supervisor.locator("#count")).to_have_text("0 refunds wait.")
        agent.goto(f"{portal.origin}/customers/13002")
        expect(agent.get_by_role("table", name="Refunds")).to_contain_text("a replacement was sent")


def test_an_agent_sees_the_queue_and_decides_on_nothing(portal: Portal, chromium: Browser) -> None:
    with watching(chromium.new_context()) as watched:
        page = portal.enter(watched.page.context, "agent", watched.page)
        portal.invoice(page, "14001")
        ask(page, "55")
        press(page, "Ask a supervisor", "£55.00 waits: a supervisor has to decide.")
        page.get_by_role("link", name="Waiting refunds").click()
        waiting = page.locator("#queue li").filter(has_text="14001")
        expect(waiting).to_contain_text("Asked for by you")
        expect(waiting.get_by_role("button")).to_have_count(0)
        refund = waiting.get_attribute("data-refund")
        answer = post(portal, page, f"/refunds/{refund}/approve")
        assert answer.status == 403


def test_what_billing_refuses_is_told_in_its_words(portal: Portal, chromium: Browser) -> None:
    with chromium.new_context() as first, chromium.new_context(java_script_enabled=False) as second:
        agent, supervisor = portal.enter(first, "agent"), portal.enter(second, "supervisor")
        portal.invoice(agent, "15002")
        ask(agent, "70")
        other = first.new_page()
        other.goto(agent.url.removesuffix("/refund"))
        ask(other, "70")
        press(other, "Ask a supervisor", "£70.00 waits: a supervisor has to decide.")
        agent.get_by_role("button", name="Ask a supervisor").click()
        expect(agent.get_by_role("alert")).to_contain_text("Only 30.00 GBP of invoice")
        supervisor.goto(f"{portal.origin}/queue")
        late = second.new_page()
        late.goto(f"{portal.origin}/queue")
        approve, again = (
            page.locator("#queue li").filter(has_text="15002").get_by_role("button", name="Approve")
            for page in (supervisor, late)
        )
        approve.click()
        expect(supervisor.locator("#done")).to_have_text("The refund is given.")
        again.click()
        expect(late.get_by_role("alert")).to_contain_text("is issued already")


def test_a_supervisors_own_refund_waits_for_another_one(portal: Portal, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = portal.enter(context, "supervisor")
        portal.invoice(page, "15003", (("22423", 1, 900_00),))
        ask(page, "£600")
        press(page, "Ask a supervisor", "£600.00 waits: a supervisor has to decide.")
        page.goto(f"{portal.origin}/queue")
        waiting = page.locator("#queue li").filter(has_text="15003")
        expect(waiting).to_contain_text("Another supervisor has to decide on it.")
        expect(waiting.get_by_role("button")).to_have_count(0)
        answer = post(portal, page, f"/refunds/{waiting.get_attribute('data-refund')}/approve")
        assert answer.status == 403
        assert "Another supervisor has to decide on a refund that you asked for." in answer.text()


def test_what_is_being_written_stays_when_somebody_else_decides(
    portal: Portal, chromium: Browser
) -> None:
    with (
        watching(chromium.new_context()) as first,
        watching(chromium.new_context()) as second,
    ):
        agent = portal.enter(first.page.context, "agent", first.page)
        for customer in ("16101", "16102"):
            portal.invoice(agent, customer)
            ask(agent, "60")
            press(agent, "Ask a supervisor", "£60.00 waits: a supervisor has to decide.")
        page = portal.enter(second.page.context, "supervisor", second.page)
        page.goto(f"{portal.origin}/queue")
        mine, other = (
            page.locator("#queue li").filter(has_text=customer) for customer in ("16101", "16102")
        )
        field = mine.get_by_label("Why not?")
        field.fill("let me thi")
        for each in (mine, other):
            refund = each.get_attribute("data-refund")
            assert post(portal, page, f"/refunds/{refund}/approve").ok
        expect(other).to_have_count(0)
        expect(mine).to_contain_text("Somebody else has decided on it meanwhile.")
        expect(field).to_be_focused()
        page.keyboard.type("nk")
        expect(field).to_have_value("let me think")


def test_a_queue_that_cannot_be_kept_up_says_so_until_it_can(
    portal: Portal, chromium: Browser
) -> None:
    with chromium.new_context() as context:
        page = portal.enter(context, "supervisor")
        page.goto(f"{portal.origin}/queue")
        told = str(page.locator("#count").text_content())
        page.route("**/queue", lambda route: route.fulfill(status=503, body="away"))
        expect(page.locator("#count")).to_have_text("The list cannot be kept up at the moment.")
        page.unroute("**/queue")
        expect(page.locator("#count")).to_have_text(told)
