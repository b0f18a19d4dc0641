"""Bounded requests to token issuers: in time, in size, and in where they lead."""

from __future__ import annotations

import asyncio
import functools
import importlib
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Final
from urllib.parse import urlsplit

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
    # Imported beside the loop, which must not stand still for it.
    ask = (await asyncio.to_thread(_http)).ask
    try:
        async with asyncio.timeout(within):
            answer: Fetched = await ask(
                url,
                limit,
                verify=verify,
                within=within,
                form=form,
                user=user,
                statuses=statuses,
            )
            return answer
    except TimeoutError:
        raise KeysError(f"{shown(url)} did not answer within {within:g} s") from None


def shown(url: str) -> str:
    """An address without what may be secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "what should be an address"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@functools.cache
def _http() -> ModuleType:
    return importlib.import_module("meshpact.interceptors.httpfetch")
