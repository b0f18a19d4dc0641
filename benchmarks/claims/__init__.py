"""What the project claims in figures: each claim's name, unit and goal in one table.

A claim `some-name` is measured by `measure` of the module `claims.some_name`.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure that the project promises: `value op goal` is what it should be, in `unit`."""

    name: str
    says: str
    unit: str
    op: str
    goal: float

    @property
    def module(self) -> str:
        """The import path of the module that measures it."""
        return f"claims.{self.name.replace('-', '_')}"

    def met(self, value: float) -> bool:
        """Whether a measured value keeps the promise."""
        return COMPARE[self.op](value, self.goal)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a run measured, and what a reader needs to judge it (sample size, A/A rows, versions).

    `detail` holds what JSON can. With `quick`, its key `sample` says what was left out.
    """

    value: float
    detail: Mapping[str, object] = field(default_factory=dict[str, object])


class NotMeasured(Exception):
    """A claim could not be measured here: the text says why and what to do."""


CLAIMS: Final = (
    Claim(
        "mesh",
        "unexpected errors in 20 s of the main job, plus 1 if the ledger is off, "
        "plus 1 if fewer than 200 orders were placed",
        "count",
        "==",
        0,
    ),
    Claim(
        "hygiene",
        "raw-wire attacks not refused as they should be (aio and sync)",
        "count",
        "==",
        0,
    ),
    Claim("overhead-aio", "full chain, every call sampled / bare", "ratio", "<=", 1.28),
    Claim("overhead-sync", "full chain, 10 % sampled / bare", "ratio", "<=", 1.30),
    Claim(
        "overhead-stream",
        "wrapper's share per message, the worse of server and bidi",
        "%",
        "<=",
        2,
    ),
    Claim("overhead-client", "generated client / bare stub", "ratio", "<=", 1.12),
    Claim(
        "overhead-200-methods",
        "guarded, 200 methods / stock registration of the same",
        "ratio",
        "<=",
        0.95,
    ),
    Claim(
        "oracle",
        "disagreements of guard and reference oracle over >= 1,000 triples",
        "count",
        "==",
        0,
    ),
    Claim(
        "rotation-leaf",
        "failed calls over >= 20 leaf rotations under load",
        "count",
        "==",
        0,
    ),
    Claim(
        "rotation-ca",
        "failed calls over >= 3 CA rotations under load",
        "count",
        "==",
        0,
    ),
    Claim(
        "federation",
        "forged-domain and wrong-bundle attempts that were accepted",
        "count",
        "==",
        0,
    ),
    Claim(
        "go-spiffe",
        "failed steps of the Go client and server scenario",
        "count",
        "==",
        0,
    ),
    Claim("oidc-provider", "failed steps against the real provider", "count", "==", 0),
    Claim(
        "wycheproof",
        "vectors judged otherwise than they say (of 401; the six that a careful verifier refuses "
        "count the other way)",
        "count",
        "==",
        0,
    ),
    Claim("rbac-scale", "decision at 100,000 bindings / at 10", "ratio", "<=", 1.10),
    Claim("token-cache", "added cost of a call with a cached token", "us", "<=", 10),
    Claim(
        "streaming-auth",
        "callers of the streaming service who were let in, or refused otherwise than they must be",
        "count",
        "==",
        0,
    ),
    Claim(
        "recommend-latency", "recommendations for 50 users at once, p99 of calls", "ms", "<=", 50
    ),
    Claim("generate-noop", "generate with nothing changed", "s", "<=", 0.3),
    Claim("audit-tamper", "tampered files that verify accepted", "count", "==", 0),
    Claim(
        "review-mutation",
        "edits whose findings differ from what the guards decide (of 360; quick: 27)",
        "count",
        "==",
        0,
    ),
    Claim(
        "review-scale",
        "lint and review of 5,000 contracts / buf lint and buf breaking alone",
        "ratio",
        "<=",
        2,
    ),
    Claim(
        "review-latency", "review of a one-file change of the reference contracts", "s", "<=", 1.5
    ),
    Claim("lint-corpus", "lint cases decided otherwise than their table says", "count", "==", 0),
    Claim("retail-freshness", "stock change to both shop windows, p99", "s", "<=", 1),
    Claim(
        "saga-chaos",
        "stock codes whose ledger does not balance after random kills",
        "count",
        "==",
        0,
    ),
    Claim("orders-per-second", "real orders placed end to end", "1/s", ">=", 150),
    Claim(
        "docs-coverage",
        "methods, fields and reasons of the reference contracts without a comment",
        "count",
        "==",
        0,
    ),
    Claim(
        "dashboard-exact",
        "totals that differ from SQL after reconnects",
        "count",
        "==",
        0,
    ),
    Claim("systems-start", "all five systems ready, from nothing", "s", "<=", 10),
)
