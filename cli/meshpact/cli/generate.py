"""`meshpact generate`: write servers, clients and messages from the contracts."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer

CACHE: Final = Path(".meshpact", "cache")
"""What is kept from run to run; harmless to lose."""
PAUSE: Final = 0.3
"""Seconds between two looks at the contracts, with --watch."""


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
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and do it again whenever a contract changes.")
    ] = False,
) -> None:
    """Write servers, clients, errors and messages from the contracts below --protos.

    All or nothing: when a contract has a fault, every fault is told and nothing is written. When
    nothing has changed since the last run, nothing is compiled.

    Exits with 1 when --check finds files out of date, and with 2 when the contracts have faults.

    Example: meshpact generate --protos protos --out generated
    """
    roots, includes = protos or [Path("protos")], include or []
    if watch:
        _again_and_again(roots, out, includes, check)
    from meshpact.contracts.generate import generate as run

    def waiting() -> None:
        typer.echo(f"another run writes to {out}: waiting for it", err=True)

    result = run(roots, out, includes=includes, check_only=check, cache=CACHE, waiting=waiting)
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


def _again_and_again(roots: list[Path], out: Path, includes: list[Path], check: bool) -> None:
    """Each run is a process of its own: it reads options as policy.proto has them then."""
    import subprocess

    from meshpact.contracts.watch import Watch

    command = [sys.executable, "-P", "-m", "meshpact.cli", "generate", "--out", str(out)]
    command += [word for root in roots for word in ("--protos", str(root))]
    command += [word for folder in includes for word in ("--include", str(folder))]
    command += ["--check"] if check else []
    watching = Watch([*roots, *includes], lambda: time.sleep(PAUSE))
    try:
        while True:
            subprocess.run(command, check=False)  # noqa: S603 - ourselves, without a shell
            typer.echo("watching the contracts; Ctrl-C ends")
            sys.stdout.flush()
            watching.changed()
    except KeyboardInterrupt:
        raise typer.Exit from None
