"""Bounded requests to token issuers: in time, in size, and in where they lead."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx

from meshpact.interceptors.keyring import KeysError
from meshpact.mesh import urls

TIMEOUT: Final = 3.0
"""Seconds for one request, from the first look at the name to the last byte."""
Verify = ssl.SSLContext | bool
"""Whom to believe over https: httpx's own choice (True), or a context."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole response."""

    content: bytes = field(repr=False)
    max_age: float | None
    """What Cache-Control allows (RFC 9111), seconds; None when it says nothing."""
    status: int = 200


async def fetch(
    url: str,
    limit: int,
    *,
    verify: Verify = True,
    within: float = TIMEOUT,
    form: Mapping[str, str] | None = None,
    user: tuple[str, str] | None = None,
    statuses: Collection[int] = (200,),
) -> Fetched:
    """Gets what is at `url`, or posts a form there as `user`.

    KeysError for everything but a whole response of status 200 that took at most `within` seconds
    and has at most `limit` bytes: redirects are not followed, and only https leaves this machine.
    """
    if not urls.is_safe_url(url):
        raise KeysError(f"{shown(url)} is neither https nor on this machine")
    try:
        async with asyncio.timeout(within), _client(verify, within) as client:
            request = client.build_request("POST" if form else "GET", url, data=form)
            auth = httpx.BasicAuth(*user) if user else None
            response = await client.send(request, auth=auth, stream=True)
            try:
                if response.status_code not in statuses:
                    also = " (redirects are not followed)" if response.is_redirect else ""
                    raise KeysError(f"{shown(url)} answered {response.status_code}{also}")
                content = await _content(response, url, limit)
                return Fetched(content, _max_age(response), response.status_code)
            finally:
                await response.aclose()
    except TimeoutError:
        raise KeysError(f"{shown(url)} did not answer within {within:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        raise KeysError(f"{shown(url)} cannot be had: {_why(error)}") from None


def shown(url: str) -> str:
    """An address without what may be secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "what should be an address"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


_DIRECT: Final = ("all://127.0.0.1", "all://localhost", "all://[::1]")
"""What no proxy of the environment stands before."""


def _client(verify: Verify, within: float) -> httpx.AsyncClient:
    direct: dict[str, httpx.AsyncBaseTransport | None] = dict.fromkeys(_DIRECT)
    return httpx.AsyncClient(
        verify=verify,
        timeout=within,
        follow_redirects=False,
        mounts=direct,
        headers={"accept": "application/json", "accept-encoding": "identity"},
    )


async def _content(response: httpx.Response, url: str, limit: int) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise KeysError(f"{shown(url)} sent a compressed answer that was not asked for")
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > limit:
            raise KeysError(f"{shown(url)} sent more than {limit} bytes")
    return bytes(content)


def _max_age(response: httpx.Response) -> float | None:
    for directive in response.headers.get("cache-control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name in ("no-store", "no-cache"):
            return 0.0
        if name == "max-age" and value.strip('"').isdecimal():
            return min(float(value.strip('"')), 1e9)
    return None


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
