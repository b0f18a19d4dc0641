"""`meshpact lint`: hold contracts to buf's STANDARD rules and to Meshpact's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshpact.contracts.lint import Options
from meshpact.contracts.lint import lint as run
from meshpact.contracts.lint.listing import rules_text
from meshpact.contracts.report import Format, write


def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Tell only what is found here (files, folders).", metavar="PATHS"),
    ] = None,
    protos: Annotated[
        list[Path] | None,
        typer.Option(
            "--protos",
            metavar="DIR",
            help="Folder of your contracts (protos); may be repeated.",
        ),
    ] = None,
    include: Annotated[
        list[Path] | None,
        typer.Option("--include", metavar="DIR", help="Folder to find imports in; not linted."),
    ] = None,
    mesh: Annotated[
        Path | None,
        typer.Option("--mesh", metavar="FILE", help="A mesh.yaml: its callers are looked at too."),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="How findings are written.")
    ] = Format.TEXT,
    fix: Annotated[
        bool, typer.Option("--fix", help="Make the edits that are right beyond doubt; show them.")
    ] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List Meshpact's own rules.")] = False,
) -> None:
    """Find what is wrong with contracts: buf's STANDARD rules, and Meshpact's own.

    Exits with 1 when anything is found, and with 2 when the contracts do not compile.

    Example: meshpact lint --mesh mesh.yaml
    """
    if rules:
        typer.echo(rules_text(), nl=False)
        return
    options = Options(protos or (), include or (), paths or (), mesh, fix)
    linted = run(options)
    for edit in linted.fixed:
        typer.echo(edit, err=form is not Format.TEXT)
    typer.echo(write(linted.report, form), nl=False)
    if linted.report.findings:
        raise typer.Exit(1)
    if form is Format.TEXT:
        contracts = "contract" if linted.files == 1 else "contracts"
        typer.echo(f"{linted.files} {contracts}, nothing found")
