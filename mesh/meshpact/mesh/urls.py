"""Which addresses of other servers may stand in mesh.yaml, or be followed from there."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

SAFE_URLS: Final = "a URL with https (http only to this machine)"
_HERE: Final = ("127.0.0.1", "::1", "localhost")


def is_safe_url(url: str) -> bool:
    """Whether a URL is https, or http to this machine, and holds no user or password."""
    scheme, host = _parts(url)
    return bool(host) and (scheme == "https" or (scheme == "http" and host in _HERE))


def is_loopback_url(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return _parts(url)[1] in _HERE


def _parts(url: str) -> tuple[str, str]:
    """(scheme, host); the host is "" when the URL is none, or names a user."""
    if not url.isprintable() or " " in url:
        return "", ""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return "", ""
    if parts.username is not None or parts.password is not None or port == 0:
        return "", ""
    return parts.scheme, host
