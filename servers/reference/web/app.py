"""The base of every site: headers, static files, templates, and pages for what goes wrong.

A site is a Starlette app. Its templates extend `base.html`: blocks `title`, `head` (more links),
`navigation` (list items), `main`. Scripts are files under its `static/`, loaded with `defer`.

    site = Site("Streaming", origin=context.web_url, templates=HERE / "templates",
                static=HERE / "static", form_targets=[issuer])
    async def home(request: Request) -> Response:
        return site.page(request, "home.html", {"titles": titles})
    app = site.app([Route("/", home), *login.routes])
    await context.serve_web(app)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from meshpact.clients import CallError
from meshpact.interceptors.errors import StatusError
from reference.web.headers import SecureHeaders, secure
from reference.web.problems import IssuerError, Problem, Refused, SignInNeeded, of_call, of_http

HERE: Final = Path(__file__).parent


class Site:
    """One site: `name` is what people call it, `origin` where it is (RFC 6454).

    `templates` and `static` are its own folders; the shared ones lie behind them and at
    `/static/base/`. `form_targets` are the origins that its forms may lead to by redirects: the
    issuer where people sign in, for those who sign out.
    """

    def __init__(
        self,
        name: str,
        *,
        origin: str,
        templates: Path | None = None,
        static: Path | None = None,
        form_targets: Iterable[str] = (),
    ) -> None:
        self.name = name
        self.origin = origin
        self._static = static
        self._form_targets = tuple(form_targets)
        folders = [HERE / "templates"] if templates is None else [templates, HERE / "templates"]
        self._templates = Environment(
            loader=FileSystemLoader(folders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(
        self,
        request: Request,
        template: str,
        values: Mapping[str, object] | None = None,
        status: int = 200,
    ) -> HTMLResponse:
        """A page from a template, which also sees `request`, `path`, `site` and `user` (who is
        signed in: a `reference.web.login.SignedIn`, or None)."""
        text = self._templates.get_template(template).render(
            {
                "request": request,
                "path": request.url.path,
                "site": self.name,
                "user": getattr(request.state, "user", None),
                **(values or {}),
            }
        )
        return HTMLResponse(text, status)

    def problem(self, request: Request, problem: Problem) -> Response:
        """What a person reads, or a script (JSON in the shape of AIP-193), when it did not work."""
        headers = {"retry-after": str(problem.retry_after)} if problem.retry_after else None
        if wants_json(request):
            return JSONResponse(problem.as_json(), problem.status, headers)
        away = problem.status in (503, 504) and request.method == "GET"
        values = {
            "title": HTTPStatus(problem.status).phrase,
            "message": problem.message,
            # An answer of the authorization server counts once.
            "again": away and "code" not in request.query_params,
        }
        page = self.page(request, "problem.html", values, problem.status)
        if headers:
            page.headers.update(headers)
        return page

    def app(self, routes: Sequence[BaseRoute]) -> Starlette:
        """The ASGI app, for `ServiceContext.serve_web`.

        Errors of calls that a route lets out become pages by their code;
        `SignInNeeded` leads to the sign-in.
        """
        mounts = [Mount("/static/base", StaticFiles(directory=HERE / "static"))]
        if self._static is not None:
            mounts.append(Mount("/static", StaticFiles(directory=self._static)))
        return Starlette(
            routes=[*mounts, *routes],
            middleware=[
                Middleware(
                    SecureHeaders,  # pyright: ignore[reportArgumentType]
                    origin=self.origin,
                    form_targets=self._form_targets,
                )
            ],
            exception_handlers={
                HTTPException: self._http,
                Refused: self._refused,
                StatusError: self._call,
                CallError: self._call,
                SignInNeeded: self._sign_in,
                IssuerError: self._issuer,
                Exception: self._fault,
            },
        )

    async def _http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self.problem(request, of_http(error))

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return self.problem(request, error.problem)

    async def _call(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, StatusError | CallError)
        return self.problem(request, of_call(error))

    async def _sign_in(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, SignInNeeded)
        if request.method == "GET" and not wants_json(request):
            return RedirectResponse(error.where(request), 303)
        return self.problem(request, Problem(401, "Sign in first.", "SIGN_IN_NEEDED"))

    async def _fault(self, request: Request, error: Exception) -> Response:
        answer = self.problem(request, Problem(500, "Something went wrong on our side.", "MASKED"))
        # Starlette sends this one from outside of all middleware
        secure(answer.headers, request.scope, self.origin, self._form_targets)
        return answer

    async def _issuer(self, request: Request, error: Exception) -> Response:
        words = "Signing in does not work at the moment. Try again in a few seconds."
        return self.problem(request, Problem(503, words, "ISSUER_UNAVAILABLE", retry_after=5))


def wants_json(request: Request) -> bool:
    """Whether a script asks (`fetch`, `EventSource`), and no person."""
    accepted = request.headers.get("accept", "")
    return "text/html" not in accepted and (
        "application/json" in accepted or "text/event-stream" in accepted
    )
