"""Signing in to a site: authorization code with PKCE (RFC 7636), as a confidential client.

The browser holds a random cookie; tokens stay in the site's memory (backend for frontend, OAuth 2.0
for Browser-Based Apps, section 6.1). A page asks for the person, and calls the mesh for them:

    login = Login.of(context, scopes=["catalog.read"], audience="streaming.acme.example")
    async def home(request: Request) -> Response:
        user = login.user(request)           # SignInNeeded leads the browser to the sign-in
        answer = await catalog.list_titles(pb.ListTitlesRequest(), token=await user.token())
        return site.page(request, "home.html", {"titles": answer.titles})
    async def rate(request: Request) -> Response:
        user, form = await login.form(request)   # a POST: 403 without the form's csrf
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from meshpact.servers.context import ServiceContext
from reference.web.clientkey import CLIENTS, ClientKey
from reference.web.cookies import HostCookie
from reference.web.forms import FIELD, OUT_OF_DATE, Form, from_elsewhere, read_form
from reference.web.issuer import Issuer, Person, Tokens
from reference.web.problems import IssuerError, SignInNeeded
from reference.web.sessions import Kept
from reference.web.signins import UNDER_WAY, OtherBrowser, SignIns

log = logging.getLogger(__name__)

IDLE: Final = 2 * 3600.0
WHOLE: Final = 12 * 3600.0
"""Seconds until a session ends: without use, and in any case."""
SESSIONS: Final = 20
"""Sessions of one person at most; one more ends the oldest."""
EARLY: Final = 30.0
"""Seconds before its end when an access token is refreshed."""
TRIES: Final = (0.0, 1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds before each try to end tokens at the issuer."""
AT_ONCE: Final = 1000
"""Sessions whose tokens are being ended, at most."""
CALLBACK: Final = "/callback"
CSRF_HEADER: Final = "x-csrf-token"


class SignedIn:
    """A person who is signed in at this site.

    `name` is for people, `subject` what access tokens call them, `groups` what they belong to,
    `csrf` what every form that changes something sends along (scripts: the header `x-csrf-token`).
    """

    def __init__(self, issuer: Issuer, person: Person, tokens: Tokens, clock: Callable[[], float]):
        self.name = person.name
        self.subject = person.subject
        self.groups = person.groups
        self.csrf = secrets.token_urlsafe(32)
        self.ended = False
        self._session = person.session
        self._issuer = issuer
        self._tokens = tokens
        self._clock = clock
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def scopes(self) -> frozenset[str]:
        """What the person's access token is good for."""
        return self._tokens.scopes

    async def token(self) -> str:
        """An access token that is good for the next EARLY seconds at least.

        Calls at once share one refresh, which goes on when whoever asked first goes away: a refresh
        token is good once. SignInNeeded when the issuer has ended the session; IssuerError when it
        cannot be asked.
        """
        if not self.ended and self._tokens.expires - EARLY <= self._clock():
            await asyncio.shield(self._refresh())
        if self.ended:
            raise SignInNeeded
        return self._tokens.access

    def _refresh(self) -> asyncio.Task[None]:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refreshed())
            self._refreshing.add_done_callback(_seen)
        return self._refreshing

    async def _refreshed(self) -> None:
        try:
            self._tokens = await self._issuer.refresh(self._tokens)
        except IssuerError as error:
            if error.retry:
                raise
            self.ended = True

    def spent(self, token: str) -> None:
        """A service says that this access token has expired, whatever the clock says here: `token`
        gets another one.
        """
        if token == self._tokens.access:
            self._tokens = replace(self._tokens, expires=0.0)

    async def end(self) -> str:
        """Ends it here and its tokens at the issuer; gives the name of the issuer's session."""
        self.ended = True
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])
        await self._issuer.revoke(self._tokens)
        return self._session

    @property
    def session(self) -> str:
        """The name of the session at the issuer."""
        return self._session

    def __repr__(self) -> str:
        return "SignedIn()"


class Login:
    """The sign-in of one site; add `routes` to the site's: /login, /callback, /logout."""

    def __init__(
        self,
        issuer: Issuer,
        *,
        origin: str,
        scopes: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self._origin = origin
        self._scope = " ".join(["openid", *scopes])
        self._clock = clock
        self._cookie = HostCookie(f"{issuer.client_id}-session")
        self._browser = HostCookie(f"{issuer.client_id}-login")
        self._sessions: Kept[SignedIn] = Kept(
            idle=IDLE, whole=WHOLE, clock=clock, each=SESSIONS, dropped=self._end
        )
        self._signins = SignIns(clock)
        self._ending = set[asyncio.Task[None]]()
        self.routes = [
            Route("/login", self._login),
            Route(CALLBACK, self._callback),
            Route("/logout", self._logout, methods=["POST"]),
        ]

    @classmethod
    def of(
        cls,
        context: ServiceContext,
        *,
        scopes: Sequence[str],
        audience: str,
        issuer: str = "",
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Login:
        """The sign-in of a service's pages. The client's ID is the service's name in mesh.yaml.

        `audience` is the system its tokens are for; `issuer` is by default the one of mesh.yaml
        that has this audience. Closed with the context.
        """
        name = issuer or next(
            (each.issuer for each in context.config.issuers if audience in each.audiences), ""
        )
        if not name:
            raise ValueError(f"no issuer of mesh.yaml has the audience {audience}")
        folder = context.state.root.joinpath(*CLIENTS, context.service)
        origin = context.web_url
        asked = Issuer(
            name,
            ClientKey.of(folder, context.service),
            redirect_uri=f"{origin}{CALLBACK}",
            resource=f"https://{audience}",
            http=http,
            clock=clock,
        )
        context.on_close(asked.close)
        login = cls(asked, origin=origin, scopes=scopes, clock=clock)
        context.on_close(login.close)
        return login

    async def close(self) -> None:
        """Ends what still goes on in the background."""
        for each in self._ending:
            each.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def user(self, request: Request) -> SignedIn:
        """Who asks; SignInNeeded when nobody is signed in. Templates see them as `user`."""
        found = self.user_if_any(request)
        if found is None:
            raise SignInNeeded
        return found

    def user_if_any(self, request: Request) -> SignedIn | None:
        """Who asks, None when nobody is signed in."""
        found = self._sessions.get(self._cookie.read(request))
        if found is None or found.ended:
            return None
        request.state.user = found
        return found

    async def form(self, request: Request) -> tuple[SignedIn, Form]:
        """Who asks for a change, and the form; 403 when it does not come from a page of ours."""
        user = self.user(request)
        form = await read_form(request)
        self._ours(request, user, form.get(FIELD, ""))
        return user, form

    def script(self, request: Request) -> SignedIn:
        """As `form`, for a script that sends something else than a form: its header counts."""
        user = self.user(request)
        self._ours(request, user, request.headers.get(CSRF_HEADER, ""))
        return user

    def _ours(self, request: Request, user: SignedIn, given: str) -> None:
        fits = hmac.compare_digest(given.encode(), user.csrf.encode())
        if not fits or from_elsewhere(request, self._origin):
            raise HTTPException(403, OUT_OF_DATE)

    async def _login(self, request: Request) -> Response:
        browser = self._browser.read(request) or secrets.token_urlsafe(32)
        begun = self._signins.begin(browser, request.query_params.get("next", "/"))
        try:
            where = await self.issuer.sign_in_url(
                begun.state, begun.nonce, begun.challenge, self._scope
            )
        except IssuerError as error:
            raise _unavailable() from error
        response = RedirectResponse(where, 303)
        self._browser.set(response, browser, int(UNDER_WAY))
        return response

    async def _callback(self, request: Request) -> Response:
        answer = request.query_params
        try:
            begun = self._signins.known(answer.get("state", ""), self._browser.read(request))
        except OtherBrowser as error:
            if self.user_if_any(request) is not None:
                # Two windows signed in: the first one has done it for both.
                return RedirectResponse(error.back, 303)
            raise _failed("This sign-in was begun in another browser.") from None
        # RFC 9207: the answer names who gives it
        if begun is None or answer.get("iss") != self.issuer.name:
            raise _failed("This sign-in was not begun here, or took too long.")
        if answer.get("error") == "access_denied":
            raise HTTPException(
                403,
                "Your account may not use this page. To sign in with another one, sign out at "
                f"{self.issuer.name} first.",
            )
        if "error" in answer or "code" not in answer:
            raise _failed("You were not signed in.")
        try:
            tokens, person = await self.issuer.redeem(answer["code"], begun.verifier, begun.nonce)
        except IssuerError as error:
            if error.retry:
                raise _unavailable() from error
            raise _failed("The sign-in did not succeed.") from error
        before = self._sessions.take(self._cookie.read(request))
        if before is not None:
            self._end(before)
        response = RedirectResponse(begun.back, 303)
        user = SignedIn(self.issuer, person, tokens, self._clock)
        self._cookie.set(response, self._sessions.add(user, person.subject))
        self._browser.clear(response)
        return response

    async def _logout(self, request: Request) -> Response:
        user, _ = await self.form(request)
        self._sessions.take(self._cookie.read(request))
        try:
            session = await user.end()
            where = await self.issuer.sign_out_url(session, f"{self._origin}/")
        except IssuerError as error:
            self._end(user)
            raise HTTPException(
                503,
                f"You are signed out here, but {self.issuer.name} could not be told. Sign out "
                "there, too.",
            ) from error
        response = RedirectResponse(where, 303)
        self._cookie.clear(response)
        return response

    def _end(self, user: SignedIn) -> None:
        """Ends a session now, its tokens at the issuer as soon as that can be told."""
        user.ended = True
        if len(self._ending) >= AT_ONCE:
            log.warning("the issuer is not told of a session that has ended: too many others")
            return
        task = asyncio.create_task(_ended(user))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _ended(user: SignedIn) -> None:
    for pause in TRIES:
        await asyncio.sleep(pause)
        try:
            await user.end()
        except IssuerError as error:
            if error.retry:
                continue
            log.warning("the issuer does not end a session's tokens: %s", error)
        return
    log.warning("the issuer could not be told of a session that has ended")


def _seen(task: asyncio.Task[None]) -> None:
    """Takes note of how a task ended that nobody may wait for any more."""
    if not task.cancelled():
        task.exception()


def _failed(words: str) -> HTTPException:
    return HTTPException(400, f"{words} Go to the start page and sign in again.")


def _unavailable() -> HTTPException:
    return HTTPException(503, "Signing in does not work at the moment. Try again in a few seconds.")
