"""The system as `make run SYSTEM=support` starts it: real processes, real orders, a browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from browser import launched, leaving, watching
from support.portal import ask, press
from systemmesh import system_mesh
from upmesh import Up


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home = tmp_path_factory.mktemp("support")
    with system_mesh(home) as mesh_file, Up(home, mesh_file, "--system", "support") as running:
        yield running.ready()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as found:
        yield found


def sign_in(up: Up, page: Page, account: str) -> str:
    """Signs a member of the staff in; where the portal is."""
    origin = str(up.running.services["support-web"][0].web)
    lines = (up.state.root / "identity" / "staff-passwords").read_text().splitlines()
    page.goto(origin)
    page.get_by_label("Name").fill(account)
    page.get_by_label("Password").fill(dict(line.split() for line in lines)[account])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Find a customer")).to_be_visible()
    return origin


def test_money_goes_back_on_a_real_order_and_all_of_it_is_on_record(
    up: Up, chromium: Browser
) -> None:
    with (
        watching(chromium.new_context()) as first,
        watching(chromium.new_context()) as second,
    ):
        agent, supervisor = first.page, second.page
        origin = sign_in(up, agent, "agent")
        sign_in(up, supervisor, "supervisor")
        found = agent.get_by_role("table", name="Customers").get_by_role("link")
        while not found.count():  # orders go on
            agent.get_by_label("Number, or how it begins").fill("12")
            with leaving(agent):
                agent.get_by_role("button", name="Find").click()
            expect(agent.get_by_role("table").or_(agent.get_by_role("status"))).to_be_visible()
        customer = found.first.inner_text()
        found.first.click()
        invoices = agent.get_by_role("table", name="Invoices")
        invoices.get_by_role("link").last.click()
        whole = agent.locator("#limit").inner_text().split("£")[-1].split(" ")[0]
        ask(agent, "0.01", "a torn corner")
        press(agent, "Give it back", "£0.01 is given back.")
        rest = f"{float(whole.replace(',', '')) - 0.01:.2f}"
        ask(agent, rest, "the rest, too")
        with leaving(agent):
            agent.locator("main form button").click()
        expect(agent.locator("#done")).to_contain_text(f"£{rest} ")
        if "waits" in agent.locator("#done").inner_text():
            supervisor.goto(f"{origin}/queue")
            waiting = supervisor.locator("#queue li").filter(has_text="the rest, too")
            waiting.get_by_role("button", name="Approve").click()
            expect(supervisor.locator("#done")).to_have_text("The refund is given.")
            agent.reload()
        expect(agent.locator("#limit")).to_have_text("Nothing is left of this invoice.")
    verified = subprocess.run(
        [sys.executable, "-m", "meshpact.cli", "audit", "verify", "--state", up.state.root],
        cwd=up.home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr
    trail = (up.state.audit / "billing.jsonl").read_text()
    assert "BillingService/CreateRefund" in trail
    logs = "".join(each.read_text() for each in sorted(up.state.logs.iterdir()))
    for words in ("a torn corner", "the rest, too", customer):
        assert words not in trail
        assert words not in logs
