"""`meshpact up`: the whole mesh on this machine."""

from __future__ import annotations

from pathlib import Path

import typer


def up(
    mesh: Path = typer.Argument(Path("mesh.yaml"), help="The mesh to run."),
    seconds: float | None = typer.Option(
        None, "--for", min=0.0, metavar="SECONDS", help="End by itself, this long after readiness."
    ),
    machine: bool = typer.Option(
        False, "--json", help="Print one JSON object at the end; progress goes to stderr."
    ),
    plain: bool = typer.Option(False, "--plain", help="Lines instead of the live table."),
    state: Path = typer.Option(Path(".meshpact"), "--state", help="The state directory."),
) -> None:
    """Run the mesh of mesh.yaml: one process a service, real mTLS, supervised.

    Makes certificates and a token issuer where they are missing, starts the services and the
    driver, shows them at work, and ends them all on Ctrl-C. Exit code 1 when the driver met an
    error that it did not expect.

    Example: meshpact up mesh.yaml --for 20 --json
    """
    from meshpact.servers.supervisor.up import run_up

    raise typer.Exit(run_up(mesh, state, seconds=seconds, machine=machine, plain=plain))
