"""The passphrase of a CA for the commands that need it: from a file, or asked for at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from meshpact.certs.ca import LocalCA
from meshpact.certs.errors import CaError
from meshpact.certs.passphrase import VARIABLE, checked, from_environment, read_passphrase

T = TypeVar("T")

PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help=f"A file (0600) with the passphrase of the CA's keys; {VARIABLE} may name it.",
    ),
]


def passphrase_of(file: Path | None) -> bytes | None:
    """The passphrase in a file, or in the one that the environment names; None without either."""
    return from_environment() if file is None else read_passphrase(file)


def new_passphrase(file: Path | None, *, encrypt: bool) -> bytes | None:
    """The passphrase of a new CA, asked for twice when there is no file but a terminal."""
    found = passphrase_of(file)
    if found is not None or not encrypt:
        return found
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "--encrypt needs a passphrase, and there is no terminal to ask at: give a file, "
            "--passphrase-file"
        )
    asked: str = typer.prompt("Passphrase of the CA", hide_input=True, confirmation_prompt=True)
    return checked(asked.encode(), "the passphrase")


def opened(directory: Path, file: Path | None) -> LocalCA:
    """The CA in a directory; its passphrase is asked for when only a person can know it."""
    return with_passphrase(
        passphrase_of(file), lambda given: LocalCA.load(directory, passphrase=given)
    )


def with_passphrase(given: bytes | None, use: Callable[[bytes | None], T]) -> T:
    """What a function makes of the passphrase, which is asked for when it is needed after all."""
    try:
        return use(given)
    except CaError as error:
        if error.rule != "passphrase" or given is not None or not sys.stdin.isatty():
            raise
    asked: str = typer.prompt("Passphrase of the CA", hide_input=True)
    return use(checked(asked.encode(), "the passphrase"))
