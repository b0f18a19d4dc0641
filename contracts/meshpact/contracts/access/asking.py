"""What a person asks on the command line, put in the terms of the tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from meshpact.contracts.access.assumed import Proof
from meshpact.contracts.access.explain import Explanation, Question, explain
from meshpact.contracts.access.matrix import Matrix, matrix_of, rows_of
from meshpact.contracts.access.mesh import AccessMesh, read_access
from meshpact.contracts.access.methods import AccessMethod, Overlay, method_named
from meshpact.contracts.faults import WrongUse
from meshpact.interceptors.issuers import tokens_for
from meshpact.interceptors.network import FORWARDED_FOR
from meshpact.interceptors.tokens import Tokens
from meshpact.mesh import names
from meshpact.mesh.local import at_state
from meshpact.mesh.networks import parse_address
from meshpact.mesh.reader import closest
from meshpact.mesh.state import State


@dataclass(frozen=True)
class Sources:
    """Which mesh, with which contracts."""

    mesh: Path
    protos: Sequence[Path]
    state: State
    built_in: Overlay
    """Policies of what every server brings along."""

    def read(self) -> AccessMesh:
        """The mesh as it is now. Raises MeshFileError, ContractsError and WrongUse."""
        return read_access(self.mesh, self.protos, self.state.contracts_file, self.built_in)


@dataclass(frozen=True)
class Call:
    """A call that somebody asks about; texts that are empty say nothing."""

    caller: str
    method: str
    service: str = ""
    address: str = ""
    forwarded_for: str = ""
    token_file: Path | None = None
    certificate_file: Path | None = None


def asked_matrix(sources: Sources, callers: Sequence[str], methods: Sequence[str]) -> Matrix:
    """The matrix of some callers (names in mesh.yaml, SPIFFE IDs, `user NAME`, `group NAME`) and
    some methods or whole services (`package.Service/*`); of all where none are given."""
    mesh = sources.read()
    rows = list(rows_of(mesh))
    if callers:
        known = {row.name: row for row in rows} | {row.id: row for row in rows if row.order < 4}
        for caller in callers:
            if caller not in known:
                remedy = closest(caller, known, "meshpact access matrix lists all")
                raise WrongUse(f"{mesh.path} names no caller {caller!r}. {remedy}")
        rows = [known[caller] for caller in callers]
    return matrix_of(mesh, rows, _chosen(mesh, methods))


def explain_asked(sources: Sources, call: Call) -> Explanation:
    """Why a call is let in or refused. Raises WrongUse for a caller or a method that is not there,
    KeysError when an issuer's keys cannot be read."""
    mesh = sources.read()
    method = method_named(mesh.methods, call.method)
    service = call.service or _serving(sources.state, method.service)
    if service and service not in mesh.config.services:
        remedy = closest(service, mesh.config.services, "")
        raise WrongUse(f"there is no service {service!r} in {mesh.path}. {remedy}")
    forwarded = ((FORWARDED_FOR, call.forwarded_for),) if call.forwarded_for else ()
    proof = Proof(
        token=_text(call.token_file).strip() if call.token_file is not None else "",
        peer=_peer(call.address),
        metadata=forwarded,
        certificate=_text(call.certificate_file).encode() if call.certificate_file else b"",
    )
    question = Question(mesh.workload(call.caller), proof, service)
    # Without a token no keys are needed, and before the mesh ran there may be none.
    config = at_state(mesh.config, mesh.path, sources.state)
    tokens = tokens_for(config, service) if proof.token else Tokens(())
    return explain(mesh, method, question, tokens)


def _chosen(mesh: AccessMesh, wanted: Sequence[str]) -> list[AccessMethod]:
    if not wanted:
        return list(mesh.methods.values())
    found: list[AccessMethod] = []
    for name in wanted:
        if name.endswith(names.ANY):
            of_service = [
                each for each in mesh.methods.values() if each.service == name[: -len(names.ANY)]
            ]
            if not of_service:
                services = sorted({f"{each.service}/*" for each in mesh.methods.values()})
                remedy = closest(name, services, f"There are: {', '.join(services)}")
                raise WrongUse(f"no contract has the service of {name!r}. {remedy}")
            found += of_service
        else:
            found.append(method_named(mesh.methods, name))
    return found


def _serving(state: State, service: str) -> str:
    """The service of mesh.yaml that runs with a service of a contract; "" when none does."""
    running = state.read_running()
    if running is None:
        return ""
    return next(
        (
            name
            for name, processes in running.services.items()
            if any(service in process.serves for process in processes)
        ),
        "",
    )


def _peer(address: str) -> str:
    """An address in grpc's notation."""
    if address in ("", names.UNIX):
        return f"{address}:" if address else ""
    parsed = parse_address(address)
    if parsed is None:
        raise WrongUse(f"{address!r} is no IP address; allowed: 10.0.0.7, fd00::7, unix")
    return f"ipv4:{parsed}:0" if parsed.version == 4 else f"ipv6:[{parsed}]:0"


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUse(f"{path} is not plain text") from None
