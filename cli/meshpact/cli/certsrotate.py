"""`meshpact certs rotate`: replace the CA of a running mesh, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from meshpact.certs.keys import KeyType
from meshpact.certs.rotation import Rotation, RotationRefused, Settling, Status
from meshpact.cli.certspassphrase import PassphraseOption, passphrase_of, with_passphrase
from meshpact.mesh.local import settling_of
from meshpact.mesh.names import DURATIONS, seconds_of
from meshpact.mesh.state import DEFAULT_ROOT, State

rotate = typer.Typer(
    help="""Replace the CA of a mesh in three steps, without cutting off a live workload.

Example: meshpact certs rotate prepare
""",
    rich_markup_mode=None,
    no_args_is_help=True,
)

StateOption = Annotated[Path, typer.Option("--state", help="The state directory of the mesh.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SettleOption = Annotated[
    str | None,
    typer.Option(
        "--settle",
        help="How long what was replaced may be in use. Default: 10s until files are taken up; "
        "before retire also as long as connections last, of clients that are none of Meshpact's.",
    ),
]
WaitOption = Annotated[
    str, typer.Option("--wait", help="Wait this long for the step to cut nobody off.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Take the step though it cuts workloads off.")
]
BundlesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--bundle", metavar="FILE", help="A further bundle that must hold the new root first."
    ),
]


@rotate.command()
def status(
    state: StateOption = DEFAULT_ROOT,
    settle: SettleOption = None,
    bundle: BundlesOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say where the rotation is, what comes next, and whom that would cut off.

    Example: meshpact certs rotate status --json
    """
    rotation = _rotation(state, settle, bundle, passphrase_file)
    found = rotation.status()
    typer.echo(json.dumps(found.as_dict(), indent=2) if as_json else str(found))


@rotate.command()
def prepare(
    state: StateOption = DEFAULT_ROOT,
    key_type: Annotated[
        KeyType | None, typer.Option("--key-type", help="The kind of the new keys (default: same).")
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Step 1: make a new root and let it enter the trust bundle; the old one goes on signing.

    Example: meshpact certs rotate prepare
    """
    rotation = _rotation(state, None, None, passphrase_file)
    _take(lambda: rotation.prepare(key_type), as_json=as_json)


@rotate.command()
def activate(
    state: StateOption = DEFAULT_ROOT,
    wait: WaitOption = "0s",
    force: ForceOption = False,
    settle: SettleOption = None,
    bundle: BundlesOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Step 2: let the new root sign. Refused while a live workload may not trust it yet.

    Example: meshpact certs rotate activate --wait 30s
    """
    rotation = _rotation(state, settle, bundle, passphrase_file)
    _warn(rotation, "activate", force=force)
    _wait(rotation, lambda: rotation.activate(force=force), wait, as_json=as_json)


@rotate.command()
def retire(
    state: StateOption = DEFAULT_ROOT,
    wait: WaitOption = "0s",
    force: ForceOption = False,
    settle: SettleOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Step 3: take the old root out of the trust bundle, and remove it and its key.

    Refused while a live workload holds a certificate of the old root, or may still be on a
    connection that it opened with one.

    Example: meshpact certs rotate retire --wait 1m
    """
    rotation = _rotation(state, settle, None, passphrase_file)
    _warn(rotation, "retire", force=force)
    _wait(rotation, lambda: rotation.retire(force=force), wait, as_json=as_json)


def _rotation(
    root: Path, settle: str | None, bundles: list[Path] | None, passphrase_file: Path | None
) -> Rotation:
    state = State(root)
    settling = (
        settling_of(state) if settle is None else Settling(timedelta(seconds=_seconds(settle)))
    )
    return with_passphrase(
        passphrase_of(passphrase_file),
        lambda passphrase: Rotation(
            state.ca,
            trust=state.trust,
            identities=state.identities,
            bundles=bundles or (),
            passphrase=passphrase,
            settling=settling,
        ),
    )


def _warn(rotation: Rotation, step: str, *, force: bool) -> None:
    found = rotation.status()
    if force and found.next_step == step and found.blockers:
        typer.echo("forced, though it may cut off:", err=True)
        for blocker in found.blockers:
            typer.echo(f"  {blocker}", err=True)


def _wait(rotation: Rotation, step: Callable[[], Status], wait: str, *, as_json: bool) -> None:
    seconds = _seconds(wait)
    blockers = rotation.status().blockers if seconds else ()
    if blockers:
        who = sorted({each.who for each in blockers})
        more = f" and {len(who) - _NAMED} more" if len(who) > _NAMED else ""
        typer.echo(f"waiting for at most {wait}: {', '.join(who[:_NAMED])}{more}", err=True)
    _take(lambda: rotation.when_safe(step, seconds), as_json=as_json)


def _take(step: Callable[[], Status], *, as_json: bool) -> None:
    try:
        done = step()
    except RotationRefused as refusal:
        if not as_json:
            raise
        typer.echo(json.dumps(refusal.as_dict(), indent=2))
        raise typer.Exit(refusal.exit_code) from None
    typer.echo(json.dumps(done.as_dict(), indent=2) if as_json else done.summary)


def _seconds(text: str) -> float:
    seconds = seconds_of(text)
    if seconds is None or seconds > _LONGEST:
        raise typer.BadParameter(f"found {text!r}; allowed: {DURATIONS}")
    return seconds


_LONGEST = 1e9
_NAMED = 5
