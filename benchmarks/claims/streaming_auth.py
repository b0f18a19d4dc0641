"""Whether everybody is refused who must be, by the authorization server and by streaming.

Two tables, each case in turn, against real servers: how somebody gets a token who must not, and who
brings which token to catalog and recommendations. Beside them, who may must be let in.
"""

import asyncio
import tempfile
from pathlib import Path

from claims import Measurement
from identity_system import refusals as identity
from identityworld import World
from meshpact.clients import CallError
from meshpact.interceptors.errors import ContractError
from streaming.refusals import CASES, METHODS, PAGE, facts_of, fault, good_token
from streamingmesh import Streaming


def measure(quick: bool) -> Measurement:
    """Counts the refusals that were wrong or missing; the sample is the whole of it."""
    return asyncio.run(_measured())


async def _measured() -> Measurement:
    with tempfile.TemporaryDirectory(prefix="meshpact-claim-") as folder:
        parts = [Path(folder, name) for name in ("identity", "streaming")]
        for part in parts:
            part.mkdir()
        faults = await _identity(parts[0]) | await _streaming(parts[1])
    detail = {
        "refusals": len(CASES) + len(identity.CASES),
        "admissions": len(METHODS),
        "faults": faults,
    }
    return Measurement(len(faults), {"sample": "all", **detail})


async def _identity(folder: Path) -> dict[str, str]:
    faults: dict[str, str] = {}
    async with World(folder, f"sqlite:///{folder / 'identity.db'}") as world:
        for case in identity.CASES:
            found = await identity.outcome(case, world)
            if found != case.expected:
                faults[f"identity: {case.name}"] = f"{found} instead of {case.expected}"
    return faults


async def _streaming(folder: Path) -> dict[str, str]:
    faults: dict[str, str] = {}
    async with Streaming(folder) as streaming:
        facts = facts_of(streaming)
        for case in CASES:
            wrong = await fault(case, facts)
            if wrong:
                faults[f"{case.method.name}: {case.name}"] = wrong
        for method in METHODS:
            try:
                await method.call(facts, facts.mine, PAGE, good_token(facts, method.scopes))
            except (CallError, ContractError) as error:
                faults[f"{method.name}: somebody who may"] = str(error)
    return faults
