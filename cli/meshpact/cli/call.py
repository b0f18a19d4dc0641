"""`meshpact call`: one call as a chosen identity, JSON in and JSON out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def call(
    method: Annotated[str, typer.Argument(help="package.Service/Method", metavar="METHOD")],
    data: Annotated[
        str,
        typer.Option(
            "-d", "--data", help="The request as JSON, several for a client stream; @-: from stdin."
        ),
    ] = "",
    identity: Annotated[
        str, typer.Option("--as", help="The workload to call as: a service of mesh.yaml.")
    ] = "",
    user: Annotated[str, typer.Option("--user", help="An end user, by a token made here.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="NAME", help="A scope; repeat it.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="NAME", help="A group; repeat it.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="A file with an end user's token.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("-H", "--header", metavar="TEXT", help="Metadata, `key: value`; repeat it."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--timeout", min=0.0, metavar="SECONDS", help="The deadline.")
    ] = None,
    address: Annotated[
        str, typer.Option(help="A service of mesh.yaml or host:port, where METHOD leaves it open.")
    ] = "",
    print_grpcurl: Annotated[
        bool, typer.Option("--print-grpcurl", help="Print the call as a line of grpcurl instead.")
    ] = False,
    reflection: Annotated[
        bool,
        typer.Option("--reflection", help="Ask the server for the contract (role mesh.reflect)."),
    ] = False,
    state: Annotated[Path, typer.Option("--state", help="The state directory.")] = Path(
        ".meshpact"
    ),
) -> None:
    """Call a method of a running mesh as one of its workloads.

    Prints the response as ProtoJSON, the responses of a stream one a line. A failed call prints
    AIP-193's JSON error on stderr, and the exit code is 64 plus the number of the status code.

    \b
    Example: meshpact call acme.retail.inventory.v1.InventoryService/GetStock \\
      -d '{"sku": "85123A"}' --as store
    """
    from meshpact.clients.dynamic import command

    asked = command.Asked(
        method=method,
        data=data,
        identity=identity,
        user=user,
        scopes=scope or (),
        groups=group or (),
        token_file=token_file,
        headers=header or (),
        seconds=seconds,
        address=address,
        reflection=reflection,
        state=state,
    )
    if print_grpcurl:
        typer.echo(command.as_grpcurl(asked))
        return
    try:
        for response in command.responses(asked):
            typer.echo(response)
    except command.CallFailed as failure:
        typer.echo(failure.json, err=True)
        raise typer.Exit(failure.exit_code) from None
