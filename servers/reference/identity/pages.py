"""The pages for people: sign in, sign up, sign out, and where they are signed in. No script.

What brought somebody here stands in the query, as the client asked it, and goes back to
`/authorize` unchanged: no page here redirects to an address that it was given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from meshpact.servers.storage.database import Database
from reference.identity import accounts, passwords, usersessions
from reference.identity.clients import Client
from reference.identity.endpoints import AUTHORIZE, DEVICES, SESSION
from reference.identity.oauth import Protocol
from reference.identity.passwords import Busy, Passwords
from reference.identity.signin import Entered, Refused, SignIn, Visit
from reference.identity.usersessions import Full, Signed
from reference.web.app import Site
from reference.web.cookies import HostCookie
from reference.web.forms import Form, FormTokens, read_form
from reference.web.headers import allow_forms_to

SHOWN: Final = 50
"""Sessions on the page of an account."""
NOT_THIS: Final = (
    "The name or the password is wrong, or there were too many tries. Check both, or wait a few "
    "minutes."
)
BUSY: Final = "Too many people sign in at the moment. Try again in a few seconds."
FULL: Final = "Too many people are signed in at the moment. Try again later."
MEANWHILE: Final = (
    "The password was changed from elsewhere just now, or you were signed out. What you asked for "
    "here was not done."
)


@dataclass(frozen=True)
class Visitor:
    """Who is signed in, for the templates."""

    name: str
    csrf: str


class Pages:
    """The pages; `routes` are theirs."""

    def __init__(
        self,
        site: Site,
        database: Database,
        protocol: Protocol,
        passwords: Passwords,
        sign_in: SignIn,
    ) -> None:
        self._site = site
        self._database = database
        self._protocol = protocol
        self._passwords = passwords
        self._sign_in = sign_in
        self._tokens = FormTokens(HostCookie("identity-form"), site.origin)
        self.routes = [
            Route("/", self._home),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/signup", self._signup, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["GET", "POST"]),
            Route("/password", self._password, methods=["POST"]),
            Route("/sessions/end", self._end_session, methods=["POST"]),
        ]

    async def _home(self, request: Request) -> Response:
        return await self._account_page(request, await self._signed(request))

    async def _account_page(
        self, request: Request, signed: Signed | None, *, error: str = "", done: str = ""
    ) -> Response:
        if signed is None:
            return self._show(request, "welcome.html", {"error": error}, 400 if error else 200)
        found = await self._database.read(
            lambda connection: usersessions.page(
                connection, signed.account.id, None, SHOWN, self._protocol.clock()
            )
        )
        values = {
            "login": signed.account.login,
            "groups": sorted(signed.account.groups),
            "current": signed.session.id,
            "sessions": [
                {
                    "id": each.id,
                    "user_agent": each.user_agent,
                    "source": each.source,
                    "used": datetime.fromtimestamp(each.used_at, UTC).strftime("%Y-%m-%d %H:%M"),
                    "clients": ", ".join(each.clients),
                }
                for each in found
            ],
            "error": error,
            "done": done,
        }
        return self._show(request, "account.html", values, 400 if error else 200, signed)

    async def _login(self, request: Request) -> Response:
        client = self._client(request)
        if request.method != "POST":
            return self._sign_in_form(request, client, "login.html")
        form = await self._form(request)
        login = accounts.normal(form.get("login", ""))
        with _told():
            made = await self._sign_in.sign_in(login, form.get("password", ""), _visit(request))
        if isinstance(made, Refused):
            return self._sign_in_form(request, client, "login.html", NOT_THIS, status=403)
        return await self._signed_in(request, client, made)

    async def _signup(self, request: Request) -> Response:
        client = self._client(request)
        if request.method != "POST":
            return self._sign_in_form(request, client, "signup.html")
        form = await self._form(request)
        login, password = accounts.normal(form.get("login", "")), form.get("password", "")
        with _told():
            password_error = await self._passwords.fault(password, login)
        wrong = {
            "login_error": accounts.login_fault(login),
            "password_error": password_error,
            "repeat_error": "" if form.get("repeat") == password else "The two are not the same.",
        }
        if not any(wrong.values()):
            with _told():
                made = await self._sign_in.sign_up(login, password, _visit(request))
            if made is Refused.TOO_MANY_ACCOUNTS:
                words = "Too many accounts were made from your address. Try again in an hour."
                raise HTTPException(429, words)
            if isinstance(made, Entered):
                return await self._signed_in(request, client, made)
            wrong["login_error"] = "This name is taken. Choose another."
        return self._sign_in_form(
            request, client, "signup.html", login=login, wrong=wrong, status=400
        )

    async def _signed_in(self, request: Request, client: Client | None, made: Entered) -> Response:
        old = await self._signed(request)
        if old is not None:
            await self._end(old.session.id, old.account.id)
        where = f"{AUTHORIZE}?{request.url.query}" if client else "/"
        response = RedirectResponse(where, 303)
        self._give(response, made)
        return response

    def _give(self, response: Response, made: Entered) -> None:
        SESSION.set(response, made.session, int(self._protocol.lifetimes.session))
        DEVICES.set(response, made.devices, int(self._protocol.lifetimes.device))

    async def _logout(self, request: Request) -> Response:
        """RP-initiated logout of OpenID Connect; `logout_hint` is the session (`sid`)."""
        signed = await self._signed(request)
        if request.method == "POST":
            asked: Mapping[str, str] = await self._form(request)
        else:
            asked = request.query_params
        client = self._protocol.clients.get(asked.get("client_id", ""))
        back = asked.get("post_logout_redirect_uri", "")
        where = back if client is not None and back == client.after_logout else "/"
        hinted = signed is not None and asked.get("logout_hint") == signed.session.id
        if signed is not None and not hinted and request.method != "POST":
            # anybody can send a browser here: ask first
            if client is not None:
                allow_forms_to(request.scope, client.origin)
            return self._show(request, "logout.html", {"asked": dict(asked)}, signed=signed)
        if signed is not None:
            await self._end(signed.session.id, signed.account.id)
        response = RedirectResponse(where, 303)
        SESSION.clear(response)
        return response

    async def _end_session(self, request: Request) -> Response:
        form = await self._form(request)
        signed = await self._signed(request)
        session = form.get("session", "")
        if signed is not None and session.isprintable():
            await self._end(session, signed.account.id)
        return RedirectResponse("/", 303)

    async def _password(self, request: Request) -> Response:
        form = await self._form(request)
        signed = await self._signed(request)
        if signed is None:
            return RedirectResponse("/login", 303)
        new = form.get("new", "")
        with _told():
            error = await self._passwords.fault(new, signed.account.login)
        if not error and form.get("repeat") != new:
            error = "The two new passwords are not the same."
        if error:
            return await self._account_page(request, signed, error=error)
        with _told():
            made = await self._sign_in.change_password(
                signed.account, signed.session.id, form.get("old", ""), new, _visit(request)
            )
        if isinstance(made, Entered):
            now = await self._of_secret(made.session)
            done = "The password is changed. You are signed out everywhere else."
            page = await self._account_page(request, now, done=done)
            self._give(page, made)
            return page
        if made is Refused.MEANWHILE:
            return await self._account_page(request, await self._signed(request), error=MEANWHILE)
        error = "The old password is wrong, or there were too many tries."
        return await self._account_page(request, signed, error=error)

    async def _signed(self, request: Request) -> Signed | None:
        return await self._of_secret(SESSION.read(request))

    async def _of_secret(self, secret: str) -> Signed | None:
        now = self._protocol.clock()
        return await self._database.read(lambda c: usersessions.of_cookie(c, secret, now))

    async def _end(self, session_id: str, account_id: str) -> None:
        await self._database.write(lambda c: usersessions.end(c, session_id, account_id))

    async def _form(self, request: Request) -> Form:
        form = await read_form(request)
        self._tokens.check(request, form)
        return form

    def _client(self, request: Request) -> Client | None:
        """The client that somebody signs in for; forms may then lead there."""
        asked = request.query_params
        client = self._protocol.clients.get(asked.get("client_id", ""))
        if client is None or not client.check_redirect_uri(asked.get("redirect_uri", "")):
            return None
        allow_forms_to(request.scope, client.origin)
        return client

    def _sign_in_form(
        self,
        request: Request,
        client: Client | None,
        template: str,
        error: str = "",
        *,
        login: str = "",
        wrong: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        values = {
            "query": request.url.query if client else "",
            "client": client.name if client else "",
            "error": error,
            "login": login,
            "shortest": passwords.SHORTEST,
            "login_error": "",
            "password_error": "",
            "repeat_error": "",
            **(wrong or {}),
        }
        return self._show(request, template, values, status)

    def _show(
        self,
        request: Request,
        template: str,
        values: Mapping[str, object],
        status: int = 200,
        signed: Signed | None = None,
    ) -> Response:
        token, cookie = self._tokens.issue(request)
        if signed is not None:
            request.state.user = Visitor(signed.account.login, token)
        page = self._site.page(request, template, {**values, "csrf": token}, status)
        self._tokens.give(page, cookie)
        return page


def _visit(request: Request) -> Visit:
    source = request.client.host if request.client else ""
    return Visit(request.headers.get("user-agent", ""), source, DEVICES.read(request))


@contextlib.contextmanager
def _told() -> Generator[None]:
    """Tells people in their words that there are too many of them."""
    try:
        yield
    except Busy:
        raise HTTPException(503, BUSY, {"retry-after": "5"}) from None
    except Full:
        raise HTTPException(503, FULL, {"retry-after": "600"}) from None
