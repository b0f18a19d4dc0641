"""The measured server of end users' tokens, on grpc.aio: the full chain with and without a user.

Usage: python -m overhead.server_tokens FOLDER (one that `overhead.stage` filled; beside it lies
the key set of the tokens).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from meshpact.interceptors import aio
from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.tokens import Issuer, Tokens
from meshpact.policy.v1 import policy_pb2 as policy
from meshpact.servers import loop
from overhead.chain import Telemetry, guards
from overhead.control import answer
from overhead.server_aio import Servers, check
from overhead.stage import SERVER, Stage
from overhead.tokens import AUDIENCE, ISSUER, KEYS, NONE, NONE_AGAIN, SCOPE, USER
from overhead.work import CHECK


async def serve(stage: Stage) -> None:
    """Serves until the control channel closes."""
    telemetry = Telemetry()
    keys = FileKeys(stage.folder / KEYS)
    issuer = Issuer(ISSUER, keys, frozenset({AUDIENCE}), frozenset({"ES256"}))
    guard = guards(stage, stage.identity(SERVER), telemetry, Tokens([issuer])).full
    demanding = policy.Policy(
        access=policy.Access(
            roles=["measure.caller"], end_user=policy.END_USER_REQUIRED, scopes=[SCOPE]
        )
    )
    servers = Servers(stage)
    servers.mount(
        "main",
        {
            NONE: aio.handler(guard, CHECK, check),
            NONE_AGAIN: aio.handler(guard, CHECK, check),
            USER: aio.handler(guard, replace(CHECK, overlay=demanding), check),
        },
    )
    await servers.start()

    def seen() -> dict[str, int]:
        telemetry.settle()
        return {"calls": telemetry.calls(), "spans": telemetry.exporter.spans}

    answer({"ports": servers.ports}, telemetry.settle, seen)
    await servers.run()


if __name__ == "__main__":
    loop.run(serve(Stage(Path(sys.argv[1]))))
