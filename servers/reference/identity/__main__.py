"""Looks after the signing keys of acme.identity, while it runs or not.

python -m reference.identity keys            which keys are published, and which one signs
python -m reference.identity rotate          publish a new key; it signs some minutes later
python -m reference.identity drop KEY_ID     take a key back at once, as when it was stolen
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Annotated

import typer

from meshpact.mesh.state import DEFAULT_ROOT
from reference.identity.signingkeys import KeyFileError, SigningKeys, keys_of

# Lines after \b stay lines.
HELP = (__doc__ or "").replace("\n\n", "\n\n\b\n")
app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
State = Annotated[Path, typer.Option(help="The state directory of the mesh.")]


@app.command()
def keys(state: State = DEFAULT_ROOT) -> None:
    """List the published keys."""
    with _told():
        found = _keys(state)
        signing = found.signing().thumbprint()
        for each in found.published():
            typer.echo(f"{each['kid']}  {'signs' if each['kid'] == signing else 'is published'}")


@app.command()
def rotate(state: State = DEFAULT_ROOT) -> None:
    """Publish a new key. It signs once everybody must know it; the old one ends by itself."""
    with _told():
        typer.echo(f"{_keys(state).rotate()}  is published, and signs in a few minutes")


@app.command()
def drop(key_id: str, state: State = DEFAULT_ROOT) -> None:
    """Take a key back at once: all tokens that it signed are worth nothing."""
    with _told():
        there = _keys(state).drop(key_id)
    if not there:
        typer.echo(
            f"there is no key {key_id}: python -m reference.identity keys lists them", err=True
        )
        raise typer.Exit(1)
    typer.echo(f"{key_id}  is taken back")


def _keys(state: Path) -> SigningKeys:
    if not (state / "identity" / "keys" / "keys.json").exists():
        typer.echo(
            f"{state} holds no keys of identity: name another by --state DIRECTORY", err=True
        )
        raise typer.Exit(2)
    found = keys_of(state)
    found.signing()  # a file that is damaged or open is not written over
    return found


@contextlib.contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except KeyFileError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
