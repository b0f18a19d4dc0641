"""What generated code takes from the server side; nothing else is promised to it."""

from __future__ import annotations

from meshpact.interceptors.call import Call
from meshpact.interceptors.spec import MethodSpec, ServiceSpec

__all__ = ["Call", "MethodSpec", "ServiceSpec"]
