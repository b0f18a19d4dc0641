"""Which service of mesh.yaml serves which contract: as `serves` says, else guessed by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from meshpact.contracts import names
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.model import Service

_VERSION: Final = re.compile(r"v\d+(?:(?:alpha|beta|p|test)\w*)?")


class Serving:
    """Services of mesh.yaml by the contracts that they serve, and the other way round.

    What mesh.yaml says (`services.NAME.serves`) counts; a service that does not say it is taken to
    serve what bears its name and nobody names as theirs: `orders` serves the services of a package
    `....orders` or `....orders.v1`, and any OrdersService. A workload that only calls serves
    nothing.
    """

    def __init__(self, config: MeshConfig, contracts: Iterable[str]) -> None:
        """`contracts` are full names of services, `package.Service`."""
        known = list(contracts)
        said = {contract for service in config.services.values() for contract in service.serves}
        free = [contract for contract in known if contract not in said]
        by_name: dict[str, list[str]] = {}
        for contract in free:
            for name in _names(contract):
                by_name.setdefault(name, []).append(contract)
        self._by: dict[str, tuple[str, ...]] = {}
        guessed: list[str] = []
        for name, service in config.services.items():
            if service.serves:
                self._by[name] = tuple(each for each in service.serves if each in set(known))
            elif _listens(service) and (found := by_name.get(name.replace("-", "_"))):
                self._by[name] = tuple(found)
                guessed.append(name)
        self.guessed: Final = tuple(guessed)
        """Services of mesh.yaml of which it is guessed what they serve."""
        self._of: dict[str, list[str]] = {}
        for name, served in self._by.items():
            for contract in served:
                self._of.setdefault(contract, []).append(name)

    def by(self, service: str) -> tuple[str, ...]:
        """The contracts that a service of mesh.yaml serves."""
        return self._by.get(service, ())

    def of(self, contract: str) -> tuple[str, ...]:
        """The services of mesh.yaml that serve a contract."""
        return tuple(self._of.get(contract, ()))


def contracts_of(methods: Mapping[str, object]) -> list[str]:
    """The services of methods by name (`package.Service/Method`), each once."""
    return list(dict.fromkeys(name.rpartition("/")[0] for name in methods))


def _listens(service: Service) -> bool:
    return bool(service.factory or (service.command and service.address))


def _names(contract: str) -> set[str]:
    package, _, short = contract.rpartition(".")
    parts = package.split(".")
    if len(parts) > 1 and _VERSION.fullmatch(parts[-1]):
        parts.pop()
    return {parts[-1], names.snake(short).removesuffix("_service")} - {""}
