"""Why a call by name cannot be made at all."""

from __future__ import annotations

from meshpact.interceptors.errors import MeshpactError


class UseError(MeshpactError):
    """What was asked for does not exist or cannot be read; the text says what does."""

    exit_code = 2
