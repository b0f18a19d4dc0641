"""Why a server does not start."""

from __future__ import annotations

from collections.abc import Sequence

from meshpact.interceptors.errors import MeshpactError
from meshpact.interceptors.policy import PolicyError


class ServerError(MeshpactError):
    """A server cannot be assembled or started; the message says what to do."""


class UnguardedError(ServerError):
    """Methods without a policy, or with one that contradicts itself, were to be served.

    `methods` holds each with its full name, the proto file it stands in, and what is wrong.
    """

    def __init__(self, methods: Sequence[PolicyError]) -> None:
        self.methods = tuple(methods)
        lines = "\n".join(f"  {error}" for error in methods)
        count = "1 method has" if len(methods) == 1 else f"{len(methods)} methods have"
        super().__init__(f"Not started: {count} no sound policy.\n{lines}")
