"""Whether everybody is refused who must be: the table of the streaming service, each case in turn.

Catalog and recommendations stand behind real servers and mTLS; beside each refusal, by code, reason
and words, the same call of somebody who may make it must go through.
"""

import asyncio
import tempfile
from pathlib import Path

from claims import Measurement
from meshpact.clients import CallError
from meshpact.interceptors.errors import ContractError
from streaming.refusals import CASES, METHODS, PAGE, facts_of, fault, good_token
from streamingmesh import Streaming


def measure(quick: bool) -> Measurement:
    """Counts the refusals that were wrong or missing; the sample is the whole of it."""
    return asyncio.run(_measured())


async def _measured() -> Measurement:
    faults: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="meshpact-claim-") as folder:
        async with Streaming(Path(folder)) as streaming:
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
    detail = {"refusals": len(CASES), "admissions": len(METHODS), "faults": faults}
    return Measurement(len(faults), {"sample": "all", **detail})
