"""Forms: read within bounds, and only those that a page of ours has sent.

Cross-site requests are kept out by a token in the form that fits a cookie (double submit with a
`__Host-` cookie), and by the `Origin` that browsers say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from reference.web.cookies import HostCookie

LARGEST: Final = 64 * 1024
MOST: Final = 100
FIELD: Final = "csrf"
OUT_OF_DATE: Final = (
    "This form is out of date, or comes from elsewhere. Go back, load the page again, and send it "
    "once more."
)

Form = dict[str, str]


async def read_pairs(request: Request) -> list[tuple[str, str]]:
    """The fields of a form in order (`application/x-www-form-urlencoded`, LARGEST bytes)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Send a form: application/x-www-form-urlencoded.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise HTTPException(413, f"A form has at most {LARGEST} bytes.")
    try:
        return parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST
        )
    except ValueError:
        raise HTTPException(400, "The form cannot be read.") from None


async def read_form(request: Request) -> Form:
    """The fields of a form, of a repeated one the last."""
    return dict(await read_pairs(request))


def from_elsewhere(request: Request, origin: str) -> bool:
    """Whether a browser says that the request comes from another origin."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    return request.headers.get("origin", origin) != origin or site not in ("same-origin", "none")


class FormTokens:
    """Tokens for forms of people who are not signed in yet."""

    def __init__(self, cookie: HostCookie, origin: str) -> None:
        self._cookie = cookie
        self._origin = origin

    def issue(self, request: Request) -> tuple[str, str]:
        """The token for a form, and the cookie's value that it fits; `give` sends it along."""
        value = self._cookie.read(request) or secrets.token_urlsafe(32)
        return _token(value), value

    def give(self, response: Response, value: str) -> None:
        """Sends the cookie with the page that has the form."""
        self._cookie.set(response, value)

    def check(self, request: Request, form: Form) -> None:
        """403 for a form that no page of ours has sent from this browser."""
        value = self._cookie.read(request)
        fits = hmac.compare_digest(form.get(FIELD, "").encode(), _token(value).encode())
        if not value or not fits or from_elsewhere(request, self._origin):
            raise HTTPException(403, OUT_OF_DATE)


def _token(value: str) -> str:
    # a hash, so that the page does not show the cookie
    return base64.urlsafe_b64encode(hashlib.sha256(f"form {value}".encode()).digest()).decode()
