"""What a call with a cached token costs more than the same call of a method that takes none."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from meshpact.testing.tokens import TokenIssuer
from overhead.control import measured
from overhead.driver import Effort, channel, interleave, unary
from overhead.figures import Missing, Row, Samples, difference, microseconds
from overhead.stage import Stage
from overhead.work import Pairs, traces

ISSUER: Final = "https://issuer.measure.example"
AUDIENCE: Final = "measure.example"
SCOPE: Final = "measure.check"
KEYS: Final = "jwks.json"
USERS: Final = 100

NONE: Final = "/measure.none/Check"
"""Takes no token."""
NONE_AGAIN: Final = "/measure.none.again/Check"
USER: Final = "/measure.user/Check"
"""Demands an end user and a scope."""

GOAL: Final = 10.0


async def measure(effort: Effort) -> list[Row | Missing]:
    """The row. Tokens of 100 users are sent in turn, each verified before the first round counts.

    The base is the same call, its token sent too, of a method that does not look at it; `extra`
    has the difference to a call that sends none, which is gRPC's work for a header of 500 bytes.
    """
    async with contextlib.AsyncExitStack() as stack:
        stage = Stage.make(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        issuer = TokenIssuer(ISSUER)
        issuer.write_jwks(stage.folder / KEYS)
        server = stack.enter_context(measured("overhead.server_tokens", str(stage.folder)))
        main = await stack.enter_async_context(channel(stage, server.ready["ports"]["main"]))
        plain, signed = traces(1), _with_tokens(traces(1), issuer)
        chunks = {
            "not looked at": await unary(main, [NONE], signed),
            "not looked at, again": await unary(main, [NONE_AGAIN], signed),
            "cached": await unary(main, [USER], signed),
            "not sent": await unary(main, [NONE], plain),
        }
        before = server.seen()
        samples = await interleave(server, chunks, effort, lambda found: _row(found).conclusive)
        seen = server.seen()
        assert seen["calls"] > before["calls"], "the guard's metrics counted nothing"
        return [_row(samples)]


def _with_tokens(pairs: list[Pairs], issuer: TokenIssuer) -> list[Pairs]:
    tokens = [
        issuer.mint(
            f"user-{number}@measure.example",
            audience=[AUDIENCE],
            scopes=[SCOPE, "openid", "profile"],
            groups=["staff", "buyers"],
            lifetime=3600,
        )
        for number in range(USERS)
    ]
    return [
        (*metadata, ("authorization", f"Bearer {tokens[number % USERS]}"))
        for number, metadata in enumerate(pairs)
    ]


def _row(samples: Mapping[str, Samples]) -> Row:
    base = samples["not looked at"], samples["not looked at, again"]
    added = difference(samples["cached"], *base)
    again = difference(base[1], base[0])
    sent = difference(samples["cached"], samples["not sent"])
    return Row(
        "token-cache",
        "aio, full chain at 10 %: a method that takes a cached token - one that takes none",
        "<=",
        GOAL,
        round(added.value, 2),
        round(added.low, 2),
        round(added.high, 2),
        round(again.value, 2),
        len(base[0]),
        microseconds(samples),
        unit="us",
        extra={"over a call that sends no token": asdict(sent)},
    )
