"""`meshpact serve`: one service of a mesh."""

from __future__ import annotations

from pathlib import Path

import typer


def serve(
    service: str = typer.Option(..., "--service", help="Its name in mesh.yaml."),
    mesh: Path = typer.Option(Path("mesh.yaml"), "--mesh", help="The mesh."),
    state: Path = typer.Option(Path(".meshpact"), "--state", help="The state directory."),
    address: str = typer.Option("", "--address", help="Where to listen, instead of mesh.yaml's."),
    health_address: str = typer.Option(
        "", "--health-address", help="Where the plaintext health listener is (default: any port)."
    ),
) -> None:
    """Run one service of a mesh until SIGTERM or Ctrl-C, then drain.

    Prints a line of JSON with its address when it is ready. Its identity must be there:
    `meshpact certs issue`, or a first `meshpact up`.

    Example: meshpact serve --service store
    """
    from meshpact.mesh.state import State
    from meshpact.servers import serving
    from meshpact.servers.process import ProcessTask

    task = ProcessTask(mesh, service, State(state), address, health_address)
    serving.serve_here(task)
