"""Federated domains that try to mint IDs of ours, or to pose as our servers, over real TLS."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from claims import Measurement
from federation.stage import ACCEPTED, attempts


def measure(quick: bool) -> Measurement:
    """Counts attempts that were accepted; all of them are made, in all four shapes of calls."""
    with TemporaryDirectory() as folder:
        made = asyncio.run(attempts(Path(folder)))
    accepted = [what for what, outcome in made if outcome == ACCEPTED]
    outcomes = {outcome: sum(each == outcome for _, each in made) for _, outcome in made}
    return Measurement(
        len(accepted),
        {
            "sample": f"{len(made)} attempts" + (" (all)" if quick else ""),
            "outcomes": outcomes,
            "accepted": accepted,
        },
    )
