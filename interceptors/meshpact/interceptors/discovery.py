"""Where an issuer's keys are, by its metadata (OpenID Connect Discovery 1.0, RFC 8414)."""

from __future__ import annotations

from typing import Final

from meshpact.interceptors.fetch import TIMEOUT, Verify, fetch, shown
from meshpact.interceptors.keyring import KeysError
from meshpact.interceptors.strictjson import parse_object
from meshpact.mesh import urls

MAX_BYTES: Final = 256 * 1024


async def discover(url: str, issuer: str, *, verify: Verify = True, within: float = TIMEOUT) -> str:
    """The address of the issuer's key set. Raises KeysError.

    The metadata must name exactly this issuer (RFC 8414 section 3.3), and an address with https;
    http, and only to this machine, when the metadata themselves are on it.
    """
    found = await fetch(url, MAX_BYTES, verify=verify, within=within)
    try:
        metadata = parse_object(found.content)
    except ValueError as error:
        raise KeysError(f"{shown(url)} sent no metadata: {error}") from None
    if metadata.get("issuer") != issuer:
        raise KeysError(
            f"{shown(url)} has the metadata of another issuer than {issuer}; the two must be "
            "equal, character by character"
        )
    address = metadata.get("jwks_uri")
    if not isinstance(address, str) or not urls.is_safe_url(address):
        raise KeysError(f"{shown(url)} names no jwks_uri with https")
    if not address.startswith("https:") and not urls.is_loopback_url(url):
        raise KeysError(f"{shown(url)} names a jwks_uri on this machine")
    return address
