"""What a mesh.yaml adds to the pages: who holds the roles, and where a service answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.certs.spiffe import SpiffeId
from meshpact.contracts.access.matrix import Grant, Kind, Matrix, matrix_of, rows_of
from meshpact.contracts.access.mesh import read_mesh
from meshpact.contracts.image import Image
from meshpact.contracts.lint.callers import Served
from meshpact.contracts.lint.mesh import LintMesh
from meshpact.contracts.lint.model import Context
from meshpact.contracts.model import Contracts, Method, Service
from meshpact.mesh.names import ANY

_ADDRESS: Final = "localhost:50051"


@dataclass(frozen=True)
class Target:
    """How one method is reached, for grpcurl lines and programs."""

    address: str
    callee: str
    """The SPIFFE ID that must answer."""
    caller: str
    """The service of the mesh whose identity the call goes out with."""
    made_up: str = ""
    """That the callee is, though there is a mesh.yaml, in words; names stand in backticks."""

    @property
    def trust_domain(self) -> str:
        """The callee's."""
        return str(SpiffeId.parse(self.callee).trust_domain)

    @property
    def authority(self) -> str:
        """The name in the callee's certificate."""
        return f"{self.callee.rpartition('/')[2]}.{self.trust_domain}"


class Guesses:
    """Without a mesh: names that stand for what the reader puts in."""

    def target(self, method: Method) -> Target:
        """A service of its package's name, at a usual address."""
        return Target(_ADDRESS, f"spiffe://example.org/{_own_name(method.service)}", "caller")

    def callers(self, method: Method) -> str:
        """Nobody is known."""
        del method
        return ""


class MeshView:
    """A mesh.yaml with these contracts. MeshFileError and ContractsError say what is wrong."""

    def __init__(self, path: Path, image: Image) -> None:
        mesh = LintMesh(path)
        access = read_mesh(path, image, {}, whole=False)
        self._config = mesh.config
        self._calls = mesh.calls
        self._matrix: Matrix = matrix_of(
            access, tuple(rows_of(access)), tuple(access.methods.values())
        )
        served = Served(Context(Contracts(image), mesh))
        self._servers: dict[str, str] = {}
        for name in mesh.config.services:
            for method in served.by(name):
                self._servers.setdefault(method.service.full_name, name)

    def target(self, method: Method) -> Target:
        """Where the method's service answers; the caller is one that mesh.yaml declares or lets."""
        name = self._servers.get(method.service.full_name)
        caller = self._caller(method)
        if name is None:
            domain, own = self._config.trust_domain, _own_name(method.service)
            callee = f"spiffe://{domain}/{own}"
            text = (
                f"mesh.yaml names no service that serves this contract: `{callee}` and "
                f"`{_ADDRESS}` are made up (`services.NAME.serves` says who does)"
            )
            return Target(_ADDRESS, callee, caller, text)
        service = self._config.services[name]
        free = not service.address or service.address.endswith(":0")
        return Target(_ADDRESS if free else service.address, service.id, caller)

    def callers(self, method: Method) -> str:
        """Who may call by the bindings, in words; names stand in backticks."""
        rows = [
            (row, self._matrix.cells[row, method.name])
            for row in self._matrix.rows
            if (row, method.name) in self._matrix.cells
        ]
        alone = [f"`{row.name}`" for row, cell in rows if cell.grant is Grant.YES]
        beside = [
            f"`{row.name}`"
            for row, cell in rows
            if cell.grant is Grant.WITH and row.kind in (Kind.WORKLOAD, Kind.PATTERN)
        ]
        observed = [f"`{row.name}`" for row, cell in rows if cell.grant is Grant.OBSERVED]
        parts = [", ".join(alone)] if alone else []
        parts += [f"with an end user: {', '.join(beside)}"] if beside else []
        parts += [f"only observed: {', '.join(observed)}"] if observed else []
        return "; ".join(parts) or "nobody yet"

    def _caller(self, method: Method) -> str:
        wanted = (method.name, f"{method.service.full_name}{ANY}")
        declared = [call.caller for call in self._calls if call.method in wanted]
        for grant in (Grant.YES, Grant.WITH):
            allowed = [
                row.name
                for row in self._matrix.rows
                if row.kind is Kind.WORKLOAD
                and row.name in self._config.services
                and (row, method.name) in self._matrix.cells
                and self._matrix.cells[row, method.name].grant is grant
            ]
            both = [name for name in declared if name in allowed]
            if both or allowed:
                return (both or allowed)[0]
        return declared[0] if declared else "caller"


def _own_name(service: Service) -> str:
    """`acme.retail.inventory.v1` -> `inventory`."""
    parts = [part for part in service.file.proto.package.split(".") if part]
    if len(parts) > 1 and parts[-1][:1] == "v" and parts[-1][1:2].isdigit():
        parts.pop()
    return parts[-1].replace("_", "-") if parts else "service"
