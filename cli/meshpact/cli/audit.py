"""`meshpact audit`: read the audit trails of a mesh, and see whether they are as they were."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from meshpact.cli.certs import JsonOption, StateOption
from meshpact.interceptors.auditlayout import trails_in
from meshpact.interceptors.audittail import Entry, Follower, latest, service_of
from meshpact.interceptors.auditverify import Anchor, Report
from meshpact.interceptors.auditverify import verify as verify_trails
from meshpact.mesh.state import DEFAULT_ROOT, State

audit = typer.Typer(
    help="""Read the audit trails of a mesh, and see whether they are as they were written.

Example: meshpact audit tail --denied
""",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@audit.command()
def tail(
    services: Annotated[
        list[str] | None,
        typer.Argument(metavar="SERVICE", help="Services by name (default: all)."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")
    ] = False,
    denied: Annotated[
        bool, typer.Option("--denied", help="Only refusals, and what is wrong with a trail.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines.")] = 20,
    state: StateOption = DEFAULT_ROOT,
    as_json: JsonOption = False,
) -> None:
    """Show the latest decisions, in words or as JSON, one line each.

    Example: meshpact audit tail inventory --follow --denied
    """
    folder = State(state).audit
    there = {service_of(trail) for trail in trails_in(folder)} if folder.is_dir() else set[str]()
    asked = set(services or there)
    if (unknown := asked - there) and not (follow and folder.is_dir()):
        raise typer.BadParameter(
            f"no audit trail of {', '.join(sorted(unknown))} in {folder} "
            f"(there: {', '.join(sorted(there)) or 'none'})"
        )
    if not there and not follow:
        raise typer.BadParameter(f"there is no audit trail in {folder}: meshpact up writes them")
    follower = Follower(folder, lambda trail: not services or service_of(trail) in asked)
    chosen = [trail for trail in trails_in(folder) if service_of(trail) in asked] if there else []

    def wanted(entry: Entry) -> bool:
        return entry.denied if denied else True

    try:
        recent = latest(chosen, lines, wanted)
        _print(recent, as_json)
        if follow:
            shown = {entry.raw for entry in recent}  # by both, when written at this moment
            coming = follower.follow()
            _print((each for each in coming if wanted(each) and each.raw not in shown), as_json)
    except KeyboardInterrupt:
        return
    finally:
        follower.close()


def _print(entries: Iterable[Entry], as_json: bool) -> None:
    for entry in entries:
        typer.echo(entry.as_json() if as_json else entry.in_words())


@audit.command()
def verify(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files, or directories of trails (default: those of the mesh)."),
    ] = None,
    anchor: Annotated[
        str,
        typer.Option(
            "--anchor",
            metavar="LINES:HASH",
            help="What an earlier verify printed: is what was there then there still?",
        ),
    ] = "",
    state: StateOption = DEFAULT_ROOT,
    as_json: JsonOption = False,
) -> None:
    """Verify audit trails; exit code 1 with file and line where one is not as it was written.

    Keep the printed anchor where nobody who writes trails can write: with it, a trail that was
    rewritten whole is found, too.

    Example: meshpact audit verify
    """
    try:
        known = Anchor.parse(anchor) if anchor else None
    except ValueError as error:
        raise typer.BadParameter(f"--anchor: {error}") from None
    given = paths or [State(state).audit]
    for path in given:
        if not path.exists():
            raise typer.BadParameter(f"{path} is not there")
    reports = verify_trails(given, known)
    if known is not None and len(reports) != 1:
        raise typer.BadParameter(
            f"an anchor is of one trail, and {len(reports)} are given: name the files of one"
        )
    if not reports:
        raise typer.BadParameter(f"no audit trail in {', '.join(map(str, given))}")
    if as_json:
        typer.echo(json.dumps([_as_dict(report) for report in reports], indent=2))
    else:
        for report in reports:
            _print_report(report)
    if not all(report.sound for report in reports):
        raise typer.Exit(1)


def _print_report(report: Report) -> None:
    for finding in report.findings:
        typer.echo(f"{finding}" if finding.fault else f"note: {finding}")
    verdict = "is as it was written" if report.sound else "IS NOT AS IT WAS WRITTEN"
    typer.echo(
        f"{report.trail.active}: {verdict}: {_number(report.lines, 'line')} in "
        f"{_number(report.files, 'file')}; "
        f"anchor {report.anchor or 'none'}"
    )


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _as_dict(report: Report) -> dict[str, object]:
    return {
        "trail": str(report.trail.active),
        "sound": report.sound,
        "files": report.files,
        "lines": report.lines,
        "anchor": str(report.anchor) if report.anchor else None,
        "findings": [
            {
                "kind": finding.kind,
                "fault": finding.fault,
                "file": str(finding.path),
                "line": finding.line,
                "text": finding.text,
            }
            for finding in report.findings
        ],
    }
