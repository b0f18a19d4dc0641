"""Cookies that only their own origin can set and read (RFC 6265bis, `__Host-`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True)
class HostCookie:
    """One cookie, `__Host-<name>`: Secure, HttpOnly, for all paths of one host and no other.

    Browsers take `Secure` on `http://localhost` too. Ports share cookies there, so that each app
    has a name of its own.
    """

    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,50}", self.name):
            raise ValueError(f"{self.name!r} is no name of a cookie: use a-z, 0-9 and -")

    @property
    def header(self) -> str:
        """The name as browsers see it."""
        return f"__Host-{self.name}"

    def read(self, request: Request) -> str:
        """The value that a request brings, "" when there is none."""
        return request.cookies.get(self.header, "")

    def set(self, response: Response, value: str, max_age: int | None = None) -> None:
        """Sends the cookie; without `max_age` (seconds) it ends with the browser."""
        response.set_cookie(
            self.header,
            value,
            max_age=max_age,
            path="/",
            secure=True,
            httponly=True,
            samesite="lax",
        )

    def clear(self, response: Response) -> None:
        """Takes the cookie back."""
        response.delete_cookie(self.header, path="/", secure=True, httponly=True, samesite="lax")
