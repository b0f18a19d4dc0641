"""The headers of every answer: what a page may load, who may frame it, which host it is.

Content Security Policy Level 3 without inline script or style; nothing from other origins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FORM_TARGETS: Final = "reference.web.form_targets"
"""Where in a request's scope `allow_forms_to` keeps the origins."""

_ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # not no-referrer: forms would then be sent with the origin "null"
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def content_policy(form_targets: Iterable[str] = ()) -> str:
    """A Content-Security-Policy; `form_targets` are the origins that a form may lead to, too."""
    targets = " ".join(["'self'", *sorted(set(form_targets))])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; manifest-src 'self'; "
        f"form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
    )


def allow_forms_to(scope: Scope, origin: str) -> None:
    """Lets forms of the page that this request gets lead to `origin` (browsers look at redirects,
    too)."""
    scope.setdefault(FORM_TARGETS, set()).add(origin)


def secure(headers: MutableHeaders, scope: Scope, origin: str, form_targets: Iterable[str]) -> None:
    """Adds the headers that an answer lacks."""
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    targets = {*form_targets, *scope.get(FORM_TARGETS, ())}
    headers.setdefault("content-security-policy", content_policy(targets))
    headers.setdefault("cache-control", "no-store")
    if origin.startswith("https:"):
        headers.setdefault("strict-transport-security", "max-age=63072000; includeSubDomains")


class SecureHeaders:
    """ASGI middleware. Requests for another host than `origin`'s are sent to it, or refused with
    421: a name of an attacker's that leads to this machine (DNS rebinding) is of no use."""

    def __init__(self, app: ASGIApp, *, origin: str, form_targets: Iterable[str] = ()) -> None:
        self._app = app
        self._origin = origin
        self._host = urlsplit(origin).netloc.lower()
        self._form_targets = frozenset(form_targets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure(MutableHeaders(scope=message), scope, self._origin, self._form_targets)
            await send(message)

        if Headers(scope=scope).get("host", "").lower() != self._host:
            await self._elsewhere(scope, receive, finish)
            return
        await self._app(scope, receive, finish)

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD") and scope["path"].startswith("/"):
            query = scope["query_string"].decode("ascii", "replace")
            path = quote(scope["path"], safe="/~!$&'()*+,;=:@")
            where = self._origin + path + ("?" + quote(query, safe="=&%+/:~,") if query else "")
            await RedirectResponse(where, 307)(scope, receive, send)
            return
        answer = PlainTextResponse(f"This is {self._origin}; use that address.\n", 421)
        await answer(scope, receive, send)
