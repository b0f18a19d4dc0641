"""`meshpact certs`: make, show, verify and rotate the identities of a mesh."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from meshpact.certs import describe
from meshpact.certs.bundle import TrustBundle, trust_domain_of
from meshpact.certs.ca import write_svid
from meshpact.certs.doctor import examine_files, examine_state, read_bundles
from meshpact.certs.errors import CertsError, PeerError, SpiffeError, SvidError
from meshpact.certs.keys import KeyType
from meshpact.certs.pem import read_certificates
from meshpact.certs.source import CERTIFICATE_FILE
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import check_dns_name
from meshpact.certs.verify import verify_peer
from meshpact.cli.certsbundle import bundle as bundle_command
from meshpact.cli.certspassphrase import (
    PassphraseOption,
    new_passphrase,
    opened,
    passphrase_of,
    with_passphrase,
)
from meshpact.cli.certsrotate import rotate
from meshpact.mesh.config import load
from meshpact.mesh.local import prepare
from meshpact.mesh.names import DURATIONS, seconds_of
from meshpact.mesh.state import DEFAULT_ROOT, State

certs = typer.Typer(
    help="""Make, show, verify and rotate the identities of a mesh.

Example: meshpact certs show inventory
""",
    rich_markup_mode=None,
    no_args_is_help=True,
)

certs.add_typer(rotate, name="rotate")
certs.command("bundle")(bundle_command)

StateOption = Annotated[Path, typer.Option("--state", help="The state directory of the mesh.")]
MeshOption = Annotated[Path, typer.Option("--mesh", help="The mesh.yaml, read if it is there.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


_LONGEST = 1e9
_NOT_THE_USERS = frozenset({"state", "log", "expired", "permissions"})
"""Rules of faults of the CA, as opposed to faults of what was asked for."""


def _trust_domain(text: str) -> TrustDomain:
    try:
        return TrustDomain(text)
    except SpiffeError as error:
        raise typer.BadParameter(str(error)) from None


def lifetime_of(text: str) -> timedelta:
    """The length of time that an option spells; a wrong spelling is wrong use of the command."""
    seconds = seconds_of(text)
    if seconds is None or seconds > _LONGEST:
        raise typer.BadParameter(f"found {text!r}; allowed: {DURATIONS}")
    return timedelta(seconds=seconds)


@certs.command()
def init(
    trust_domain: Annotated[
        str, typer.Option("--trust-domain", help="The trust domain, such as acme.example.")
    ],
    state: StateOption = DEFAULT_ROOT,
    key_type: Annotated[
        KeyType | None, typer.Option("--key-type", help="The kind of the CA's keys (ec-p256).")
    ] = None,
    passphrase_file: PassphraseOption = None,
    encrypt: Annotated[
        bool,
        typer.Option("--encrypt", help="Encrypt the CA's keys; asks for a passphrase if no file."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a local CA, its trust bundle and a development token issuer.

    What is there already stays as it is. The root's key may be moved to a safe place afterwards:
    issuing needs only the intermediate's.

    Example: meshpact certs init --trust-domain acme.example
    """
    directory = State(state)
    domain = _trust_domain(trust_domain)
    passphrase = new_passphrase(passphrase_file, encrypt=encrypt)
    kind = key_type or KeyType.EC_P256
    ca = with_passphrase(
        passphrase, lambda given: prepare(directory, domain, key_type=kind, passphrase=given)
    )
    if (encrypt or passphrase_file) and not ca.encrypted:
        raise typer.BadParameter(
            f"the CA in {directory.ca} is there already, and its keys are not encrypted: a "
            "rotation encrypts the new ones, meshpact certs rotate prepare --passphrase-file FILE"
        )
    if key_type not in (None, ca.key_type):
        typer.echo(
            f"The CA is there already, with a key of the kind {ca.key_type}; a rotation changes "
            f"it: meshpact certs rotate prepare --key-type {key_type}",
            err=True,
        )
    bundle = directory.trust / f"{domain}.pem"
    if as_json:
        facts = {"trust_bundle": str(bundle), "root_key": str(ca.root_key)}
        typer.echo(json.dumps({"trust_domain": domain.name, **facts}))
        return
    typer.echo(f"The CA of {domain} is in {directory.ca}, its trust bundle is {bundle}.")
    typer.echo(f"Its root's key, {ca.root_key}, may be kept elsewhere: issuing does without.")
    typer.echo("Next: meshpact certs issue SERVICE")


@certs.command()
def issue(
    service: Annotated[str, typer.Argument(help="The name of the service, such as inventory.")],
    state: StateOption = DEFAULT_ROOT,
    spiffe_id: Annotated[
        str,
        typer.Option(
            "--id", help="Its SPIFFE ID (default: mesh.yaml's, or spiffe://TRUST-DOMAIN/SERVICE)."
        ),
    ] = "",
    lifetime: Annotated[str, typer.Option(help="How long it is valid, at most 24h.")] = "1h",
    key_type: Annotated[
        KeyType, typer.Option("--key-type", help="The kind of the workload's key.")
    ] = KeyType.EC_P256,
    mesh: MeshOption = Path("mesh.yaml"),
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a certificate and a key to a service.

    A running one takes them up by itself.

    Example: meshpact certs issue inventory --lifetime 12h
    """
    directory = State(state)
    length = lifetime_of(lifetime)
    ca = opened(directory.ca, passphrase_file)
    try:
        identity = SpiffeId.for_service(ca.trust_domain, service)
        if spiffe_id:
            identity = SpiffeId.parse(spiffe_id)
        elif mesh.is_file() and (entry := load(mesh).services.get(service)):
            identity = entry.spiffe_id
        svid = ca.issue(identity, lifetime=length, key_type=key_type)
    except CertsError as error:
        if error.rule in _NOT_THE_USERS:
            raise
        raise typer.BadParameter(str(error)) from None
    write_svid(directory.identity(service), svid)
    (facts, *_) = describe.describe(svid.chain_pem)
    if as_json:
        typer.echo(json.dumps({"directory": str(directory.identity(service)), **facts.as_dict()}))
        return
    typer.echo(f"{directory.identity(service)} holds the new identity.")
    typer.echo(describe.in_words(facts))


@certs.command()
def show(
    what: Annotated[str, typer.Argument(help="A PEM file, or the name of a service.")],
    state: StateOption = DEFAULT_ROOT,
    as_json: JsonOption = False,
) -> None:
    """Show what the certificates of a file or a service say.

    Example: meshpact certs show inventory
    """
    path = _certificate_file(what, State(state))
    try:
        found = describe.describe(path.read_bytes())
    except SvidError as error:
        raise typer.BadParameter(f"{path}: {error}") from None
    if as_json:
        typer.echo(json.dumps([facts.as_dict() for facts in found], indent=2))
    else:
        typer.echo("\n\n".join(describe.in_words(facts) for facts in found))


@certs.command()
def verify(
    what: Annotated[
        str, typer.Argument(help="A PEM file (the leaf, then intermediates), or a service's name.")
    ],
    trust: Annotated[
        Path | None,
        typer.Option("--trust", help="A trust bundle, a PEM file of roots (default: the state's)."),
    ] = None,
    state: StateOption = DEFAULT_ROOT,
    as_json: JsonOption = False,
) -> None:
    """Verify a certificate chain as servers do; exit code 1 names the broken rule.

    \b
    Example: meshpact certs verify inventory --trust .meshpact/trust/acme.example.pem
    """
    file = _certificate_file(what, State(state))
    chain = _read(file)
    bundles = read_bundles(State(state).trust) if trust is None else _bundles(trust)
    try:
        peer = verify_peer(chain, b"", bundles, time.time())
    except PeerError as error:
        if as_json:
            typer.echo(json.dumps({"valid": False, "rule": error.rule, "fault": str(error)}))
        else:
            typer.echo(f"{file} is not valid: {error} (rule: {error.rule})")
        raise typer.Exit(1) from None
    note = _dialling_note(chain, peer.id)
    if as_json:
        typer.echo(json.dumps({"valid": True, "spiffe_id": str(peer.id), "note": note}))
        return
    typer.echo(f"{file} is valid: {peer.id}")
    if note:
        typer.echo(f"Note: no client can reach it as a server: {note}")


@certs.command()
def doctor(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Directories, certificates, keys, bundles; default: the whole state."),
    ] = None,
    state: StateOption = DEFAULT_ROOT,
    trust: Annotated[
        Path | None,
        typer.Option("--trust", help="A trust bundle to verify what has none beside it."),
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for faults of keys, certificates and bundles; each with its remedy.

    Exit code 1 when something was found.

    Example: meshpact certs doctor
    """
    directory = State(state)
    if paths:
        bundles = read_bundles(directory.trust)
        if trust is not None:
            bundles |= _bundles(trust)
        found = examine_files(paths, bundles, passphrase=passphrase_of(passphrase_file))
        looked = ", ".join(map(str, paths))
    else:
        found = examine_state(
            directory.root,
            directory.ca,
            directory.trust,
            directory.identities,
            passphrase=passphrase_of(passphrase_file),
        )
        looked = str(directory.root)
    if as_json:
        typer.echo(json.dumps([fault.as_dict() for fault in found], indent=2))
    else:
        for fault in found:
            typer.echo(str(fault))
        typer.echo(f"{looked}: {len(found) or 'no'} fault{'' if len(found) == 1 else 's'} found.")
    if found:
        raise typer.Exit(1)


def _bundles(path: Path) -> dict[str, TrustBundle]:
    roots = _read(path)
    try:
        domain = trust_domain_of(roots) or TrustDomain(path.stem)
        return {domain.name: TrustBundle.from_pem(domain, roots)}
    except CertsError as error:
        raise typer.BadParameter(f"{path}: {error}") from None


def _dialling_note(chain: bytes, spiffe_id: SpiffeId) -> str:
    try:
        check_dns_name(read_certificates(chain)[0], spiffe_id)
    except CertsError as error:
        return str(error)
    return ""


def _certificate_file(what: str, state: State) -> Path:
    path = Path(what)
    if path.is_file():
        return path
    of_service = state.identity(what) / CERTIFICATE_FILE if "/" not in what else path
    if of_service.is_file():
        return of_service
    known = sorted(each.name for each in state.identities.glob("*") if each.is_dir())
    raise typer.BadParameter(
        f"{what!r} is neither a file nor a service with an identity in {state.identities} "
        f"(there: {', '.join(known) or 'none'})"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from None
