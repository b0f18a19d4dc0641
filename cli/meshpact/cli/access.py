"""`meshpact access`: who may call what, why, what changes, and what would do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from meshpact.cli.certs import JsonOption, StateOption
from meshpact.contracts.access import asking, revisions, text
from meshpact.contracts.access.asking import Call, Sources
from meshpact.contracts.access.diff import difference
from meshpact.contracts.access.mesh import read_mesh
from meshpact.contracts.access.sources import find_contracts
from meshpact.contracts.access.suggest import suggest as suggested
from meshpact.contracts.access.trail import read_traffic
from meshpact.mesh.state import DEFAULT_ROOT, State
from meshpact.servers.overlay import BUILT_IN

access = typer.Typer(
    help="""Show who may call what, and why.

Example: meshpact access matrix
""",
    rich_markup_mode=None,
    no_args_is_help=True,
)

MeshFileOption = Annotated[Path, typer.Option("--mesh", help="The mesh.yaml.")]
ProtosOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--protos",
        metavar="DIR",
        help="Folder of the contracts (default: protos beside mesh.yaml, else what ran last).",
    ),
]


def _sources(mesh: Path, protos: list[Path] | None, state: Path) -> Sources:
    return Sources(mesh, protos or [], State(state), BUILT_IN)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


@access.command()
def matrix(
    caller: Annotated[
        list[str] | None,
        typer.Option("--caller", metavar="NAME", help="This caller only; repeat it."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="METHOD",
            help="package.Service/Method, or package.Service/*; repeat it.",
        ),
    ] = None,
    as_json: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a table in Markdown.")
    ] = False,
    mesh: MeshFileOption = Path("mesh.yaml"),
    protos: ProtosOption = None,
    state: StateOption = DEFAULT_ROOT,
) -> None:
    """Show which caller may call which method, by roles; networks are not looked at.

    Example: meshpact access matrix --caller orders
    """
    found = asking.asked_matrix(_sources(mesh, protos, state), caller or [], method or [])
    if as_json:
        typer.echo(json.dumps(text.matrix_json(found), indent=2))
    else:
        _print(text.matrix_markdown(found) if markdown else text.matrix_text(found))


@access.command()
def explain(
    method: Annotated[str, typer.Argument(help="package.Service/Method", metavar="METHOD")],
    caller: Annotated[
        str, typer.Option("--caller", help="A service of mesh.yaml, or a SPIFFE ID.")
    ] = "",
    user_token: Annotated[
        Path | None, typer.Option("--user-token", help="A file with the end user's access token.")
    ] = None,
    address: Annotated[
        str, typer.Option("--address", help="Where the call comes from: an IP address, or unix.")
    ] = "",
    forwarded_for: Annotated[
        str, typer.Option("--forwarded-for", help="What a proxy there says: x-forwarded-for.")
    ] = "",
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", help="The caller's certificate, for a token bound to it."),
    ] = None,
    service: Annotated[
        str, typer.Option("--service", help="The service of mesh.yaml that answers.")
    ] = "",
    as_json: JsonOption = False,
    mesh: MeshFileOption = Path("mesh.yaml"),
    protos: ProtosOption = None,
    state: StateOption = DEFAULT_ROOT,
) -> None:
    """Show each check of a call in order, its outcome, and the lines that decided it.

    The identity of --caller is taken as proven. Exits with 1 when the call is refused.

    \b
    Example: meshpact access explain --caller store \\
      acme.retail.inventory.v1.InventoryService/GetStock
    """
    call = Call(caller, method, service, address, forwarded_for, user_token, certificate)
    found = asking.explain_asked(_sources(mesh, protos, state), call)
    if as_json:
        typer.echo(json.dumps(text.explanation_json(found), indent=2))
    else:
        _print(text.explanation_text(found))
    if not found.decision.lets_in:
        raise typer.Exit(1)


@access.command()
def diff(
    old: Annotated[str, typer.Argument(help="A mesh.yaml, or REF:PATH in git.", metavar="OLD")],
    new: Annotated[str, typer.Argument(help="A mesh.yaml, or REF:PATH in git.", metavar="NEW")],
    as_json: JsonOption = False,
    protos: ProtosOption = None,
    state: StateOption = DEFAULT_ROOT,
) -> None:
    """Show who gains and who loses which methods between two mesh.yaml, by today's contracts.

    Exits with 1 when anything changes.

    Example: meshpact access diff HEAD~1:mesh.yaml mesh.yaml
    """
    with revisions.mesh_file(old) as before, revisions.mesh_file(new) as after:
        contracts = find_contracts(protos or [], Path(), State(state).contracts_file)
        found = difference(
            read_mesh(before, contracts, BUILT_IN, whole=False),
            read_mesh(after, contracts, BUILT_IN),
        )
    if as_json:
        typer.echo(json.dumps(text.difference_json(found), indent=2))
    else:
        _print(text.difference_text(found))
    if found:
        raise typer.Exit(1)


@access.command()
def suggest(
    files: Annotated[list[Path], typer.Argument(help="Audit files.", metavar="AUDIT_FILE")],
    as_json: JsonOption = False,
    mesh: MeshFileOption = Path("mesh.yaml"),
    protos: ProtosOption = None,
    state: StateOption = DEFAULT_ROOT,
) -> None:
    """Print the least role bindings that explain what audit files show, and those never used.

    Allowed calls stand in a trail only where the contract says audit: ALL; what is hidden is said.

    Example: meshpact access suggest .meshpact/audit/*.jsonl
    """
    read = _sources(mesh, protos, state).read()
    traffic = read_traffic(files)
    found = suggested(read, traffic)
    if as_json:
        typer.echo(json.dumps(text.suggestion_json(read, found), indent=2))
    else:
        _print(text.suggestion_text(read, found))
    if traffic.foreign:
        typer.echo(f"{traffic.foreign} lines are no audit lines and were left out", err=True)
    if not traffic:
        typer.echo("no allowed or observed call stands in these files", err=True)
