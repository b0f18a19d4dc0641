"""A real browser for tests: Chromium driven by playwright, with a record of what must not happen.

Chromium is the one on PATH; as root it is installed from Debian where it is missing. Without one a
test is skipped with the reason; with CI=true it fails.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright import async_api
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
WITHOUT: Final = (
    "no browser: install Chromium (apt-get install chromium), so that one of "
    f"{', '.join(PROGRAMS)} is on PATH"
)
PATIENCE: Final = 45_000
"""Milliseconds that a page has to become as expected: nothing is measured by it."""
expect.set_options(timeout=PATIENCE)
async_api.expect.set_options(timeout=PATIENCE)


def program() -> str:
    """The path of Chromium; skips the test that asks where there is none and none can be had."""
    found = _on_path() or _installed()
    if found:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(WITHOUT)
    pytest.skip(WITHOUT)


def _on_path() -> str:
    return next(filter(None, map(shutil.which, PROGRAMS)), "")


def _installed() -> str:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return ""
    # Test processes that run side by side: the first installs, the others wait for it.
    with Path(tempfile.gettempdir(), "meshpact-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _on_path():
            quiet = {"DEBIAN_FRONTEND": "noninteractive", **os.environ}
            for words in ("update", "install --yes --no-install-recommends chromium"):
                subprocess.run(
                    ["apt-get", "--quiet", *words.split()],
                    env=quiet,
                    capture_output=True,
                    check=False,
                )
    return _on_path()


@contextmanager
def launched() -> Generator[Browser]:
    """Chromium, without a window, until the block ends."""
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=root)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def leaving(page: Page) -> Generator[None]:
    """Ends when what its block did has brought another document, with its scripts run.

    What the next lines expect may stand on the page that is being left, too, and the address may be
    the same: a browser answers from the old document until the new one is there.
    """
    page.locator("html").evaluate("html => html.setAttribute('data-left', '')")
    yield
    expect(page.locator("html:not([data-left])")).to_be_attached()
    page.wait_for_load_state()


def stop_clock(page: Page) -> None:
    """Lets no timer of its documents run out by itself: what a page shows for a while stays until
    the test moves its `clock`."""
    page.clock.install(time=0)
    page.clock.pause_at(3_600_000)


class Held:
    """Requests of a page that wait until the test lets them go on."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._routes: list[Route] = []
        page.route(url, self._hold)

    def first(self) -> Route:
        """The first of them, as soon as the page has sent it."""
        while not self._routes:
            self._page.title()  # what the browser tells comes with its answers
        return self._routes[0]

    def _hold(self, route: Route) -> None:
        self._routes.append(route)


class Watched:
    """A page whose requests, errors and dialogs are recorded from before its first line runs."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.requests: list[str] = []
        self.faults: list[str] = []
        """Errors on the console, exceptions that nobody caught, failed requests, dialogs."""
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", self._lost)
        self.page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        self.page.on("console", self._console)
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))

    def _lost(self, request: Request) -> None:
        # Aborted: the page was left before it came.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"lost: {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")


@contextmanager
def watching(context: BrowserContext) -> Generator[Watched]:
    """A page in a context, which is closed when the block ends.

    Fails then if the record has a fault.
    """
    context.set_default_timeout(PATIENCE)
    try:
        watched = Watched(context)
        yield watched
        assert watched.faults == [], watched.faults
    finally:
        context.close()
