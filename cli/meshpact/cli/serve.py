"""`meshpact serve`: one service of a mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    service: Annotated[str, typer.Option("--service", help="Its name in mesh.yaml.")],
    mesh: Annotated[Path, typer.Option("--mesh", help="The mesh.")] = Path("mesh.yaml"),
    state: Annotated[Path, typer.Option("--state", help="The state directory.")] = Path(
        ".meshpact"
    ),
    address: Annotated[str, typer.Option(help="Where to listen, instead of mesh.yaml's.")] = "",
    health_address: Annotated[
        str, typer.Option(help="Where the plaintext health listener is (default: any port).")
    ] = "",
) -> None:
    """Run one service of a mesh until SIGTERM or Ctrl-C, then drain.

    Prints a line of JSON with its address when it is ready. Its identity must be there:
    `meshpact certs issue`, or a first `meshpact up`.

    Example: meshpact serve --service store
    """
    from meshpact.mesh.state import State
    from meshpact.servers import serving
    from meshpact.servers.process import ProcessTask

    serving.serve_here(ProcessTask(mesh, service, State(state), address, health_address))
