"""`meshpact generate`: write servers, clients and messages from the contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

CACHE: Final = Path(".meshpact", "cache")
"""What is kept from run to run; harmless to lose."""


def generate(
    protos: Annotated[
        list[Path] | None,
        typer.Option(
            "--protos",
            metavar="DIR",
            help="Folder of your contracts (protos); may be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder that the code is written to.")
    ] = Path("generated"),
    include: Annotated[
        list[Path] | None,
        typer.Option("--include", metavar="DIR", help="Folder to find imports in; no code for it."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 when files are out of date.")
    ] = False,
) -> None:
    """Write servers, clients, errors and messages from the contracts below --protos.

    All or nothing: when a contract has a fault, every fault is told and nothing is written.

    Example: meshpact generate --protos protos --out generated
    """
    from meshpact.contracts.generate import generate as run

    result = run(
        protos or [Path("protos")], out, includes=include or [], check_only=check, cache=CACHE
    )
    for path in result.stale:
        verb = "is not from a contract" if path in result.removed else "is out of date"
        done = "removed" if path in result.removed else "wrote"
        typer.echo(f"{out / path} {verb}" if check else f"{done} {out / path}")
    if check and result.stale:
        typer.echo(result.difference, nl=False)
        typer.echo("run: meshpact generate", err=True)
        raise typer.Exit(1)
    if not result.stale:
        typer.echo(f"{out}: {result.unchanged} files are up to date")
