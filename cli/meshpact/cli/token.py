"""`meshpact token`: an access token of the development issuer, on stdout alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshpact.certs.errors import IssuerError
from meshpact.certs.issuer import DEFAULT_ISSUER, Issuer
from meshpact.cli.certs import MeshOption, StateOption, lifetime_of
from meshpact.mesh.config import load
from meshpact.mesh.local import issuer_of
from meshpact.mesh.state import DEFAULT_ROOT, State


def token(
    user: Annotated[str, typer.Option("--user", help="The end user: `sub`.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="NAME", help="A scope; repeat it.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="NAME", help="A group; repeat it.")
    ] = None,
    audience: Annotated[
        list[str] | None,
        typer.Option(
            "--audience",
            metavar="NAME",
            help="An audience; repeat it (default: those in mesh.yaml).",
        ),
    ] = None,
    issuer: Annotated[str, typer.Option(help="The issuer: `iss` (default: mesh.yaml's).")] = "",
    lifetime: Annotated[str, typer.Option(help="How long it is valid, at most 24h.")] = "1h",
    bound_to: Annotated[
        Path | None,
        typer.Option(
            "--bound-to", help="A certificate (PEM): the token is worth nothing without its key."
        ),
    ] = None,
    mesh: MeshOption = Path("mesh.yaml"),
    state: StateOption = DEFAULT_ROOT,
) -> None:
    """Print an RFC 9068 access token of the development issuer.

    Example: meshpact token --user alice --scope orders.write --audience shop
    """
    directory = State(state)
    entry = issuer_of(load(mesh), directory) if mesh.is_file() else None
    audiences = audience or (list(entry.audiences) if entry else [])
    if not audiences:
        raise typer.BadParameter(
            f"no audience is known: say --audience, or list {directory.issuer}/jwks.json as the "
            f"file of an issuer in {mesh}"
        )
    name = issuer or (entry.issuer if entry else DEFAULT_ISSUER)
    length = lifetime_of(lifetime)
    source = Issuer.load(directory.issuer)
    certificate = None if bound_to is None else _read(bound_to)
    try:
        minted = source.mint(
            user,
            audience=audiences,
            scopes=scope or (),
            groups=group or (),
            lifetime=length,
            issuer=name,
            groups_claim=entry.groups_claim if entry else "groups",
            certificate=certificate,
        )
    except IssuerError as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(minted)
    typer.echo(
        f"For {user} at {', '.join(audiences)}, valid for {lifetime}. Send it as metadata: "
        "authorization: Bearer TOKEN",
        err=True,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
