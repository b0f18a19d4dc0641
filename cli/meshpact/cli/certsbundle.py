"""`meshpact certs bundle`: what other trust domains need to know this one."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from meshpact.certs.bundledocument import REFRESH_HINT, format_document
from meshpact.certs.published import published
from meshpact.mesh.state import DEFAULT_ROOT, State


class Format(enum.Enum):
    """How a bundle is printed."""

    SPIFFE = "spiffe"
    PEM = "pem"


def bundle(
    state: Annotated[
        Path, typer.Option("--state", help="The state directory of the mesh.")
    ] = DEFAULT_ROOT,
    form: Annotated[
        Format, typer.Option("--format", help="A SPIFFE bundle document (JSON), or PEM.")
    ] = Format.SPIFFE,
    refresh: Annotated[
        int,
        typer.Option(min=1, max=86_400, help="Seconds after which others should look again."),
    ] = REFRESH_HINT,
) -> None:
    """Print the trust bundle of the mesh's CA, for other trust domains to read.

    Print it anew after each step of a rotation: its sequence rises.

    Example: meshpact certs bundle > acme.example.json
    """
    found = published(State(state).ca)
    if form is Format.PEM:
        typer.echo(found.bundle.pem.decode(), nl=False)
        return
    document = format_document(found.bundle, sequence=found.sequence or 0, refresh_hint=refresh)
    typer.echo(document.decode(), nl=False)
