"""What must hold in a mesh.yaml beyond the types of its values; `check` also fills in defaults."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from meshpact.certs.spiffe import SpiffeError, SpiffeId, TrustDomain, dns_name
from meshpact.mesh import accessrules, names
from meshpact.mesh.denials import check_denied
from meshpact.mesh.identityrules import check_federation, check_identity
from meshpact.mesh.issuerrules import check_issuers
from meshpact.mesh.model import MeshConfig, Service
from meshpact.mesh.problems import shown
from meshpact.mesh.reader import closest
from meshpact.mesh.tree import Place, Tree
from meshpact.mesh.webrules import check_web


def check(config: MeshConfig, tree: Tree) -> MeshConfig:
    """The mesh with IDs filled in and names of services resolved; faults go to the tree."""
    try:
        domain = TrustDomain(config.trust_domain)
    except SpiffeError as error:
        tree.add(("trust_domain",), str(error))
        return config
    services = _services(config, domain, tree)
    roles = accessrules.check_roles(config, services, tree)
    denied = check_denied(config.denied, services, tree)
    accessrules.check_methods(config, tree)
    accessrules.check_networks(config.networks, services, tree)
    check_issuers(config.issuers, tree)
    check_identity(config.identity, tree)
    federation = check_federation(config, domain, tree)
    _callers(config, services, tree)
    _systems(config, services, tree)
    metrics = config.telemetry.metrics_address
    if metrics and names.port_of(metrics) is None:
        tree.add(("telemetry", "metrics_address"), f"found {shown(metrics)}", names.ADDRESSES)
    return msgspec.structs.replace(
        config, services=services, roles=roles, denied=denied, federation=federation
    )


def _services(config: MeshConfig, domain: TrustDomain, tree: Tree) -> dict[str, Service]:
    services: dict[str, Service] = {}
    ids: dict[str, str] = {}
    addresses: dict[str, str] = {}
    for name, service in config.services.items():
        place: Place = ("services", name)
        spiffe_id = service.id
        try:
            parsed = SpiffeId.parse(spiffe_id) if spiffe_id else SpiffeId.for_service(domain, name)
            dns_name(parsed)
            spiffe_id = str(parsed)
            if parsed.trust_domain != domain:
                tree.add(
                    (*place, "id"), f"found {spiffe_id}", f"an ID of this mesh, spiffe://{domain}/"
                )
        except SpiffeError as error:
            remedy = "" if service.id else "Rename the service, or give it an id"
            tree.add((*place, "id"), str(error), "", remedy)
        if spiffe_id and (other := ids.setdefault(spiffe_id, name)) != name:
            tree.add(place, f"has the same ID as {other}", "", "Give each service its own id")
        if service.address or not service.command:
            _address(service, name, addresses, tree)
        _command(service, place, tree)
        check_web(service, place, addresses, tree)
        if service.factory and not names.is_factory(service.factory):
            tree.add((*place, "factory"), f"found {shown(service.factory)}", "module:callable")
        _methods(service.calls, (*place, "calls"), tree)
        _serves(service, place, tree)
        services[name] = msgspec.structs.replace(
            service, id=spiffe_id, audience=service.audience or spiffe_id
        )
    return services


def _command(service: Service, place: Place, tree: Tree) -> None:
    if service.command and service.factory:
        tree.add(
            (*place, "command"),
            "there is a factory too",
            "one of factory and command",
            "Take one of them out",
        )
    for index, word in enumerate(service.command):
        if "\0" in word or (not word and index == 0):
            allowed = "a program" if index == 0 else "a text without NUL"
            tree.add((*place, "command", index), f"found {shown(word)}", allowed)


def _address(service: Service, name: str, taken: dict[str, str], tree: Tree) -> None:
    place: Place = ("services", name, "address")
    port = names.port_of(service.address)
    if port is None:
        tree.add(place, f"found {shown(service.address)}", names.ADDRESSES)
    elif port:
        other = taken.setdefault(service.address, name)
        if other != name:
            tree.add(
                place, f"{service.address} is the address of {other} too", "", "Choose another port"
            )


def _serves(service: Service, place: Place, tree: Tree) -> None:
    if service.serves and not service.factory and not service.command:
        tree.add(
            (*place, "serves"),
            "neither a factory nor a command is given",
            "serves beside one of them",
            "Take it out: a workload that only calls serves nothing",
        )
    for index, name in enumerate(service.serves):
        if not names.is_contract(name):
            tree.add((*place, "serves", index), f"found {shown(name)}", names.CONTRACTS)
        elif name in service.serves[:index]:
            tree.add((*place, "serves", index), f"{name} stands twice", "", "Keep one of them")


def _methods(methods: Sequence[str], place: Place, tree: Tree) -> None:
    for index, method in enumerate(methods):
        if not names.is_method(method):
            tree.add((*place, index), f"found {shown(method)}", names.METHODS)


def _callers(config: MeshConfig, services: dict[str, Service], tree: Tree) -> None:
    """The driver and the examples: what is called, and as which service."""
    identities: list[tuple[Place, str]] = []
    if config.driver is not None:
        if not names.is_factory(config.driver.run):
            tree.add(("driver", "run"), f"found {shown(config.driver.run)}", "module:callable")
        identities.append((("driver",), config.driver.identity))
    for index, example in enumerate(config.examples):
        if not names.is_method(example.method) or example.method.endswith(names.ANY):
            place: Place = ("examples", index, "method")
            tree.add(place, f"found {shown(example.method)}", "package.Service/Method")
        identities.append((("examples", index), example.identity))
    for place, identity in identities:
        if identity not in services:
            tree.add(
                (*place, "identity"),
                f"unknown service {shown(identity)}",
                ", ".join(services),
                closest(identity, services, f"Add it: services.{identity}"),
            )


def _systems(config: MeshConfig, services: dict[str, Service], tree: Tree) -> None:
    """What `up --system` starts: services that can run, and a driver that exists."""
    for name, system in config.systems.items():
        place: Place = ("systems", name)
        for index, service in enumerate(system.services):
            entry: Place = (*place, "services", index)
            if service not in services:
                tree.add(
                    entry,
                    f"unknown service {shown(service)}",
                    ", ".join(services),
                    closest(service, services, f"Add it: services.{service}"),
                )
            elif not (services[service].factory or services[service].command):
                tree.add(
                    entry,
                    f"{service} only calls, so there is nothing to start",
                    "services with a factory or a command",
                    "Take it out",
                )
        if system.driver and config.driver is None:
            tree.add((*place, "driver"), "there is no driver", "", "Add it: driver.run")
