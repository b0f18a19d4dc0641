"""The command line. Commands are listed here and imported only when they are asked for.

`meshpact --help` must stay instant: nothing below imports grpc, protobuf or a command's module
before the command's name is known. One module a command, `meshpact.cli.<command>`, holding a
function (or a typer app, for a command with subcommands) of the command's name.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from meshpact.cli.failures import report

if TYPE_CHECKING:
    import typer

COMMANDS: Final[dict[str, str]] = {
    "generate": "Write servers, clients and messages from the contracts.",
    "lint": "Find what is wrong with contracts.",
    "review": "Say what a change of contracts does to callers and to access.",
    "docs": "Write pages about the contracts: a site, Markdown, or OpenAPI.",
    "up": "Run the mesh of mesh.yaml on this machine, each service in its own process.",
    "serve": "Run one service of a mesh.",
    "call": "Call a method as a chosen identity, with JSON in and JSON out.",
    "certs": "Make, show, verify and rotate the identities of a mesh.",
    "access": "Show who may call what, and why.",
    "audit": "Read the audit trails of a mesh, and verify them.",
    "token": "Print an access token of the development issuer.",
}
"""Each command with its line in `meshpact --help`, in the order shown there."""

HELP: Final = """gRPC internal service mesh toolkit: the contract is the policy.

Example: meshpact up mesh.yaml --for 20
"""
CONTEXT: Final[dict[str, object]] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 found something, 2 wrong use."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        application(_chosen(arguments))(args=arguments, prog_name="meshpact")
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except Exception as error:
        return report(error)
    return 0


def application(command: str = "") -> typer.Typer:
    """The typer application: `command` whole, every other command as a line of help."""
    import typer

    app = typer.Typer(
        name="meshpact",
        help=HELP,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        no_args_is_help=True,
        context_settings=dict(CONTEXT),
    )

    def version(wanted: bool) -> None:
        if wanted:
            from importlib.metadata import version as installed

            typer.echo(f"meshpact {installed('meshpact')}")
            raise typer.Exit

    def root(
        version: bool = typer.Option(
            False, "--version", callback=version, is_eager=True, help="Show the version and leave."
        ),
    ) -> None:
        pass

    app.callback(help=HELP)(root)
    for name, line in COMMANDS.items():
        if name == command:
            _mount(app, name, line)
        else:
            app.command(name, short_help=line, help=line)(_placeholder)
    return app


def _chosen(arguments: Sequence[str]) -> str:
    """The command that the arguments ask for; the options before it take no values."""
    return next((word for word in arguments if not word.startswith("-")), "")


def _mount(app: typer.Typer, name: str, line: str) -> None:
    import typer

    module = importlib.import_module(f"meshpact.cli.{name}")
    found: object = getattr(module, name)
    if isinstance(found, typer.Typer):
        _say_whole(found)
        app.add_typer(found, name=name, short_help=line)
    else:
        function = cast("Callable[..., object]", found)
        app.command(name, short_help=line, context_settings=dict(CONTEXT))(function)


def _say_whole(app: typer.Typer) -> None:
    """Let a list of commands show the first sentences whole; without a word they are cut."""
    for each in app.registered_commands:
        text = (each.callback.__doc__ if each.callback else None) or ""
        each.short_help = " ".join(text.strip().partition("\n\n")[0].split())
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is not None:
            _say_whole(inner)
            words = str(inner.info.help or "")
            group.short_help = " ".join(words.partition("\n\n")[0].split())


def _placeholder() -> None:
    """A command that was not asked for."""
