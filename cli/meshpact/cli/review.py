"""`meshpact review`: what a change of contracts does to callers and to access."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def review(
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="REF|DIR|IMAGE",
            help="The old side: a reference of git, a folder, or a compiled image.",
        ),
    ],
    head: Annotated[
        str,
        typer.Option(
            "--head", metavar="REF|DIR|IMAGE", help="The new side (default: the working tree)."
        ),
    ] = "",
    mesh: Annotated[
        Path | None,
        typer.Option("--mesh", help="The mesh.yaml: names who gains and who loses what."),
    ] = None,
    protos: Annotated[
        list[Path] | None,
        typer.Option("--protos", metavar="DIR", help="Folder of your contracts; repeat it."),
    ] = None,
    include: Annotated[
        list[Path] | None,
        typer.Option("--include", metavar="DIR", help="Folder to find imports in; repeat it."),
    ] = None,
    against_protos: Annotated[
        list[Path] | None,
        typer.Option("--against-protos", metavar="DIR", help="The folder's name on the old side."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Category of buf, and waivers (review.yaml if it is there)."),
    ] = None,
    audit: Annotated[
        list[Path] | None,
        typer.Option("--audit", metavar="FILE", help="Audit file: who really called; repeat it."),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="Days of the audit files.")] = 30,
    form: Annotated[
        str, typer.Option("--format", help="markdown, text, json, github or sarif.")
    ] = "markdown",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    write: Annotated[
        list[str] | None,
        typer.Option("--write", metavar="FORMAT=FILE", help="Write a report to a file, too."),
    ] = None,
) -> None:
    """Say what a change of contracts does: which callers it breaks, who gains and loses access.

    The working tree is only read. Exits with 0 when there is nothing to approve, 1 when something
    needs approval, 2 for wrong use (a waiver that is out of date, too).

    Example: meshpact review --against origin/main --mesh mesh.yaml
    """
    from meshpact.contracts.review import settings
    from meshpact.contracts.review.output import outputs, render
    from meshpact.contracts.review.run import Question
    from meshpact.contracts.review.run import review as run
    from meshpact.contracts.review.sides import Asked
    from meshpact.servers.overlay import BUILT_IN

    chosen = outputs("json" if as_json else form, write or [])
    asked = Asked(protos or [Path("protos")], include or [], mesh)
    question = Question(against, asked, head, against_protos or [], audit or [], days)
    path = config or (settings.DEFAULT if settings.DEFAULT.is_file() else None)
    found = run(question, settings.load(path) if path else settings.Settings(), BUILT_IN)
    for name, file in chosen.files:
        file.write_text(render(found, name), encoding="utf-8")
    typer.echo(render(found, chosen.shown), nl=False)
    for sentence in found.stale:
        typer.echo(f"meshpact: {sentence}", err=True)
    if found.exit_code:
        raise typer.Exit(found.exit_code)
