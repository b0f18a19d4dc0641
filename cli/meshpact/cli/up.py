"""`meshpact up`: the whole mesh on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def up(
    mesh: Annotated[Path, typer.Argument(help="The mesh to run.")] = Path("mesh.yaml"),
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            metavar="NAME",
            help="The systems of mesh.yaml to run, or all; without it the first one.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--for", min=0.0, metavar="SECONDS", help="End by itself, this long after readiness."
        ),
    ] = None,
    machine: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object at the end; progress goes to stderr."),
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines instead of the live table.")
    ] = False,
    state: Annotated[Path, typer.Option("--state", help="The state directory.")] = Path(
        ".meshpact"
    ),
) -> None:
    """Run the mesh of mesh.yaml: one process a service, real mTLS, supervised.

    Makes certificates and a token issuer where they are missing, starts the services and the
    driver, shows them at work, and ends them all on Ctrl-C. Exit code 1 when the driver met an
    error that it did not expect.

    Example: meshpact up mesh.yaml --system all --for 20 --json
    """
    from meshpact.servers.supervisor.up import run_up

    raise typer.Exit(
        run_up(mesh, state, systems=system or (), seconds=seconds, machine=machine, plain=plain)
    )
