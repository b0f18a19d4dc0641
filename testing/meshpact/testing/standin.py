"""Servicers that stand in for a service in tests: a few methods, UNIMPLEMENTED for the others."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast

from meshpact.interceptors.errors import Code, StatusError
from meshpact.interceptors.spec import MethodSpec
from meshpact.servers.mount import Servicer

S = TypeVar("S", bound=Servicer)


def stand_in(base: Callable[..., S], **methods: Callable[..., Any]) -> S:
    """A servicer of a generated base for asyncio, made of functions `(request, call)`.

    `stand_in(StockServiceBase, get_stock=answer)`, with `async def answer(request, call)`; for a
    streaming answer an async generator. ValueError for a method that the contract does not have.
    """
    servicer = cast("type[S]", base)
    spec = servicer.SPEC
    known = [method.attribute for method in spec.methods]
    for name in methods:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ValueError(
                f"{spec.name} has no method {name!r}.{hint} It has: {', '.join(known)}."
            )
    members = {
        method.attribute: staticmethod(methods.get(method.attribute) or _absent(method))
        for method in spec.methods
    }
    return cast("S", type(f"StandIn{servicer.__name__}", (servicer,), members)())


def _absent(method: MethodSpec[Any, Any]) -> Callable[..., Any]:
    def error() -> StatusError:
        return StatusError(Code.UNIMPLEMENTED, f"The stand-in has no {method.attribute}")

    async def answer(_request: Any, _call: Any) -> Any:
        raise error()

    async def stream(_request: Any, _call: Any) -> AsyncIterator[Any]:
        yield await answer(_request, _call)

    return stream if method.response_streaming else answer
