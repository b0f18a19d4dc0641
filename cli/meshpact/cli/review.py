"""`meshpact review`: what a change of contracts does to callers and to access."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshpact.contracts.review.codeowners import Syntax

if TYPE_CHECKING:
    from meshpact.contracts.review.changelog import Log
    from meshpact.contracts.review.model import Review
    from meshpact.contracts.review.output import Outputs


def review(
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="REF|DIR|IMAGE",
            help="The old side: a reference of git, a folder, or a compiled image.",
        ),
    ] = "",
    log: Annotated[
        str,
        typer.Option(
            "--log", metavar="A..B", help="Instead: a changelog of the commits from A to B."
        ),
    ] = "",
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
        typer.Option(
            "--audit", metavar="PATH", help="Audit trail, or a folder of them: who really called."
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="Days of the audit files.")] = 30,
    owners: Annotated[
        Path | None,
        typer.Option("--owners", metavar="CODEOWNERS", help="Names who must approve what."),
    ] = None,
    owners_syntax: Annotated[
        Syntax, typer.Option("--owners-syntax", help="Whose rules CODEOWNERS follows.")
    ] = Syntax.AUTO,
    current_version: Annotated[
        str,
        typer.Option(
            "--current-version", metavar="X.Y.Z", help="The last release: names the next one."
        ),
    ] = "",
    form: Annotated[
        str, typer.Option("--format", help="markdown, text, json, github, gitlab or sarif.")
    ] = "markdown",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    write: Annotated[
        list[str] | None,
        typer.Option("--write", metavar="FORMAT=FILE", help="Write a report to a file, too."),
    ] = None,
) -> None:
    """Say what a change of contracts does: which callers it breaks, who gains and loses access.

    The working tree is only read. Exits with 0 when there is nothing to approve, 1 when something
    needs approval, 2 for wrong use (a waiver that is out of date, too). A log exits with 0.

    Example: meshpact review --against origin/main --mesh mesh.yaml

    Example: meshpact review --log HEAD~1..HEAD --mesh mesh.yaml
    """
    from meshpact.contracts.faults import WrongUse
    from meshpact.contracts.review import settings
    from meshpact.contracts.review.bump import Version
    from meshpact.contracts.review.changelog import changelog
    from meshpact.contracts.review.codeowners import CodeOwners
    from meshpact.contracts.review.output import outputs
    from meshpact.contracts.review.run import Question
    from meshpact.contracts.review.run import review as run
    from meshpact.contracts.review.sides import Asked
    from meshpact.servers.overlay import BUILT_IN

    if bool(against) == bool(log):
        raise WrongUse("give one of --against REF|DIR|IMAGE and --log A..B")
    if log and (head or against_protos or audit or owners):
        raise WrongUse("--log takes no --head, --against-protos, --audit and --owners")
    chosen = outputs("json" if as_json else form, write or [], log=bool(log))
    asked = Asked(protos or [Path("protos")], include or [], mesh)
    path = config or (settings.DEFAULT if settings.DEFAULT.is_file() else None)
    how = settings.load(path) if path else settings.Settings()
    current = Version.parse(current_version) if current_version else None
    if log:
        _show(changelog(log, asked, how.wire, BUILT_IN, current), chosen)
        return
    question = Question(
        against,
        asked,
        head,
        against_protos or [],
        audit or [],
        days,
        current,
        CodeOwners.load(owners, owners_syntax) if owners else None,
    )
    found = run(question, how, BUILT_IN)
    _show(found, chosen)
    for sentence in found.stale:
        typer.echo(f"meshpact: {sentence}", err=True)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _show(found: Review | Log, chosen: Outputs) -> None:
    from meshpact.contracts.review.output import render

    for name, file in chosen.files:
        file.write_text(render(found, name), encoding="utf-8")
    typer.echo(render(found, chosen.shown), nl=False)
