"""`meshpact docs`: pages about the contracts, and how much of them has a comment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from meshpact.contracts.docs import Coverage, Form, Published, publish
from meshpact.contracts.docs import coverage as measure


def docs(
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
        typer.Option("--include", metavar="DIR", help="Folder to find imports in; no pages of it."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder that the pages are written to.")
    ] = Path("contract-docs"),
    form: Annotated[Form, typer.Option("--format", help="What is written.")] = Form.HTML,
    mesh: Annotated[
        Path | None,
        typer.Option("--mesh", metavar="FILE", help="A mesh.yaml: says who holds the roles."),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Stands above the pages.")] = "Contracts",
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Write nothing; list what has no comment, exit 1 if any."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write pages about the contracts: methods, policies, fields, errors, examples.

    The site needs no server: open index.html of --out. Exits with 2 when the contracts do not
    compile.

    Example: meshpact docs --mesh mesh.yaml --out site
    """
    roots = protos or [Path("protos")]
    if coverage:
        found = measure(roots, include or [])
        _print_coverage(found, as_json=as_json)
        if found.missing:
            raise typer.Exit(1)
        return
    done = publish(roots, out, form, includes=include or [], mesh=mesh, title=title)
    if as_json:
        typer.echo(json.dumps(done.as_json(), indent=2))
    else:
        _print_published(done)


def _print_coverage(found: Coverage, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
        return
    for each in found.missing:
        typer.echo(f"{each.place}: {each.kind} {each.name} has no comment")
    typer.echo(f"{found.percent} % of {found.total} things have a comment")


def _print_published(done: Published) -> None:
    parts = [f"{len(done.written)} written"]
    parts += [f"{len(done.removed)} removed"] if done.removed else []
    parts += [f"{done.unchanged} unchanged"] if done.unchanged else []
    typer.echo(f"{done.out}: {', '.join(parts)}")
    for name in done.invalid_examples:
        typer.echo(f"no example keeps to all rules of {name}", err=True)
