"""Measures what the guard costs against bare grpcio: one table, and results/latest.json.

Usage: python -m bench [--quick] [aio] [sync] [stream] [client] [methods] [access]   (default: all)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from meshpact.servers import loop
from overhead import client, streams, unary
from overhead.figures import Missing, Row
from rolescale import decision, reload

RESULTS: Final = Path(__file__).parent / "results" / "latest.json"

Part = Callable[[bool], Awaitable[list[Row | Missing]]]


async def _aio(quick: bool) -> list[Row | Missing]:
    questions = [unary.AIO, unary.AIO_TENTH, unary.AIO_LESS]
    return await unary.aio(questions, unary.how_long(quick), with_contrib=True)


async def _sync(quick: bool) -> list[Row | Missing]:
    return await unary.sync(unary.how_long(quick))


async def _methods(quick: bool) -> list[Row | Missing]:
    return await unary.methods(unary.how_long(quick))


async def _stream(quick: bool) -> list[Row | Missing]:
    return await streams.measure(streams.QUICK if quick else streams.FULL)


async def _access(quick: bool) -> list[Row | Missing]:
    return [decision.measure(quick), await reload.measure(quick)]


async def _client(quick: bool) -> list[Row | Missing]:
    return await client.measure(unary.how_long(quick))


PARTS: Final[Mapping[str, Part]] = {
    "aio": _aio,
    "sync": _sync,
    "stream": _stream,
    "client": _client,
    "methods": _methods,
    "access": _access,
}


def table(rows: list[Row | Missing]) -> str:
    """The rows for a terminal, or as Markdown, which is the same."""
    lines = [
        "| figure | measured | 95 % of resampled runs | at most | A/A | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if isinstance(row, Missing):
            lines.append(f"| {row.says} | - | - | - | - | could not measure: {row.why} |")
            continue
        unit = "x" if row.unit == "ratio" else row.unit
        goal = "cheaper" if row.op == "<" else f"{row.goal:.2f} {unit}"
        again = f"{100 * row.again:+.1f} %" if row.unit == "ratio" else f"{row.again:+.2f} {unit}"
        lines.append(
            f"| {row.says} | {row.value:.3f} {unit} | {row.low:.3f} - {row.high:.3f} | {goal} "
            f"| {again} | {row.verdict} |"
        )
    return "\n".join(lines)


def costs(rows: list[Row | Missing]) -> str:
    """The medians behind the ratios, those of one process on one line."""
    lines: dict[str, None] = {}
    for row in rows:
        if isinstance(row, Row) and row.microseconds:
            each = ", ".join(f"{name} {cost:g}" for name, cost in row.microseconds.items())
            lines[f"us of CPU, medians of {row.rounds} rounds: {each}"] = None
    return "\n".join(lines)


def machine() -> dict[str, object]:
    """Where and on what it was measured."""
    names = ("grpcio", "protobuf", "protovalidate", "opentelemetry-sdk", "prometheus-client")
    return {
        "python": platform.python_version(),
        "loop": "asyncio" if loop.factory() is None else f"uvloop {metadata.version('uvloop')}",
        "packages": {name: metadata.version(name) for name in names},
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "load": os.getloadavg(),
    }


def written(rows: list[Row | Missing], began: Mapping[str, object]) -> dict[str, object]:
    """The JSON of a run."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": began,
        "rows": [
            {**asdict(row), "verdict": row.verdict} if isinstance(row, Row) else asdict(row)
            for row in rows
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what the guard costs.")
    parser.add_argument(
        "--quick",
        action="store_true",
        default=bool(os.environ.get("QUICK")),
        help="fewer rounds; as does QUICK=1",
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    given = parser.parse_args()
    wrong = [part for part in given.parts if part not in PARTS]
    if wrong:
        parser.error(f"{wrong[0]} is no part; the parts are {', '.join(PARTS)}")
    began = machine()
    rows: list[Row | Missing] = []
    for name in given.parts or PARTS:
        print(f"measuring {name}...", file=sys.stderr, flush=True)
        part = PARTS[name]

        async def measure(part: Part = part) -> list[Row | Missing]:
            return await part(given.quick)

        rows += loop.run(measure())
    print(table(rows))
    print()
    print(costs(rows))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(written(rows, began), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
