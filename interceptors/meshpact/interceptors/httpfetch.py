"""How `fetch` asks: over httpx, without redirects, without compression.

httpx takes as long to import as the rest of a process: `fetch` does it when it is first needed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import httpx

from meshpact.interceptors.fetch import Fetched, Verify, shown
from meshpact.interceptors.keyring import KeysError

_DIRECT: Final = ("all://127.0.0.1", "all://localhost", "all://[::1]")
"""What no proxy of the environment stands before."""


async def ask(
    url: str,
    limit: int,
    *,
    verify: Verify,
    within: float,
    form: Mapping[str, str] | None,
    user: tuple[str, str] | None,
    statuses: Collection[int],
) -> Fetched:
    """As `fetch`, without its look at the address and its limit of time."""
    try:
        async with _client(verify, within) as client:
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
    except httpx.TimeoutException:
        raise TimeoutError from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        raise KeysError(f"{shown(url)} cannot be had: {_why(error)}") from None


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
