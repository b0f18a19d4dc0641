"""Random secrets, and the digests by which they are kept: who reads the database learns none."""

from __future__ import annotations

import hashlib
import secrets


def new() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """SHA-256 in hex: enough for a secret of 256 bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
