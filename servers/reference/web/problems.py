"""What went wrong, as a site tells it: a status of HTTP, words, and a reason for scripts."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request

from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError

STATUSES: Final = {
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.ABORTED: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
"""The HTTP status of a code (google/rpc/code.proto); all others are 500."""


@dataclass(frozen=True)
class Problem:
    """One problem. `retry_after` is in seconds, 0: nobody knows."""

    status: int
    message: str
    reason: str = ""
    domain: str = ""
    retry_after: int = 0

    def as_json(self) -> dict[str, object]:
        """The JSON error of AIP-193, as `meshpact call` prints it."""
        error: dict[str, object] = {"code": self.status, "message": self.message}
        if self.reason:
            error["details"] = [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": self.reason,
                    "domain": self.domain,
                }
            ]
        return {"error": error}


class Refused(Exception):
    """A route says no in its own words."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class IssuerError(Exception):
    """The issuer refused, or could not be asked.

    `reason` is the `error` of RFC 6749 where it refused; `retry` says whether asking again later
    may help.
    """

    def __init__(self, reason: str, words: str, *, retry: bool = False) -> None:
        super().__init__(f"{reason}: {words}")
        self.reason = reason
        self.retry = retry


class SignInNeeded(Exception):
    """Nobody is signed in, or not any more."""

    @staticmethod
    def where(request: Request) -> str:
        """The path that starts the sign-in and comes back to what was asked for."""
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return f"/login?next={quote(back, safe='')}"


def of_http(error: HTTPException) -> Problem:
    """The problem that a route raised as a status."""
    words = error.detail or HTTPStatus(error.status_code).phrase
    later = (error.headers or {}).get("retry-after", "0")
    return Problem(error.status_code, words, retry_after=int(later))


def of_call(error: StatusError | CallError) -> Problem:
    """The problem of a call; words of faults inside the mesh stay there."""
    status = STATUSES.get(error.code, 500)
    if status in (499, 500, 501):
        return Problem(500, "Something went wrong on our side.", error.reason, error.domain)
    if status in (503, 504):
        words = "This does not answer at the moment. Try again in a few seconds."
        return Problem(503, words, error.reason, error.domain, int(error.retry_after or 5))
    return Problem(status, error.message, error.reason, error.domain)
