"""How long things last, and how much work a password costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ISSUER_SERVICE: Final = "identity"
"""The service of mesh.yaml that is the authorization server."""


@dataclass(frozen=True)
class Lifetimes:
    """All in seconds."""

    code: float = 60
    """From the redirect to the token request (RFC 6749, 4.1.2: at most 600)."""
    access: int = 300
    """An access token; so late may a resource server notice a revocation."""
    session: float = 12 * 3600
    """A session, and with it its refresh tokens."""
    device: float = 180 * 86400
    """So long is a browser known after a sign-in."""
    key: float = 30 * 86400
    """A signing key, before another one takes its place."""


@dataclass(frozen=True)
class Hashing:
    """Parameters of argon2id; by default the second recommendation of RFC 9106, section 4."""

    time_cost: int = 3
    memory_kib: int = 64 * 1024
    parallelism: int = 4
    at_once: int = 2
    """Hashes computed at the same time: so much memory they take."""
    waiting: int = 32
    """Sign-ins that may wait for their turn; further ones are told to come back."""
    judged: int = 8
    """New passwords that may wait to be judged."""
