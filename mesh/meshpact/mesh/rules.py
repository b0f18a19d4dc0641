"""What must hold in a mesh.yaml beyond the types of its values; `check` also fills in defaults."""

from __future__ import annotations

import graphlib
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from meshpact.certs.spiffe import SpiffeError, SpiffeId, TrustDomain, dns_name
from meshpact.mesh import names
from meshpact.mesh.model import Issuer, MeshConfig, NetworkLists, Role, Service
from meshpact.mesh.problems import shown
from meshpact.mesh.reader import closest
from meshpact.mesh.tree import Place, Tree

MAX_BINDINGS: Final = 1000
"""Role bindings in mesh.yaml at most; YAML with more of them takes too long to reload."""

ALGORITHMS: Final = (
    "ES256",
    "ES384",
    "ES512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "EdDSA",
    "Ed25519",
)
"""Signature algorithms of tokens: the asymmetric ones of RFC 7518, RFC 8037 and RFC 9864."""


def check(config: MeshConfig, tree: Tree) -> MeshConfig:
    """The mesh with IDs filled in and names of services resolved; faults go to the tree."""
    try:
        domain = TrustDomain(config.trust_domain)
    except SpiffeError as error:
        tree.add(("trust_domain",), str(error))
        return config
    services = _services(config, domain, tree)
    roles = _roles(config, services, tree)
    _networks(config.networks, services, tree)
    _issuers(config.issuers, tree)
    _callers(config, services, tree)
    metrics = config.telemetry.metrics_address
    if metrics and names.port_of(metrics) is None:
        tree.add(("telemetry", "metrics_address"), f"found {shown(metrics)}", names.ADDRESSES)
    return msgspec.structs.replace(config, services=services, roles=roles)


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
        _address(service, name, addresses, tree)
        if service.factory and not names.is_factory(service.factory):
            tree.add((*place, "factory"), f"found {shown(service.factory)}", "module:callable")
        _methods(service.calls, (*place, "calls"), tree)
        services[name] = msgspec.structs.replace(
            service, id=spiffe_id, audience=service.audience or spiffe_id
        )
    return services


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


def _methods(methods: Sequence[str], place: Place, tree: Tree) -> None:
    for index, method in enumerate(methods):
        if not names.is_method(method):
            tree.add((*place, index), f"found {shown(method)}", names.METHODS)


def _roles(config: MeshConfig, services: dict[str, Service], tree: Tree) -> dict[str, Role]:
    roles: dict[str, Role] = {}
    for name, role in config.roles.items():
        place: Place = ("roles", name)
        if not names.is_role(name):
            tree.add(place, f"{shown(name)} is not the name of a role", names.ROLES)
        for index, included in enumerate(role.includes):
            if included not in config.roles:
                tree.add(
                    (*place, "includes", index),
                    f"unknown role {shown(included)}",
                    ", ".join(config.roles),
                    closest(included, config.roles, f"Add it: roles.{included}"),
                )
        for key, values in (("users", role.users), ("groups", role.groups)):
            for index, value in enumerate(values):
                if not value:
                    tree.add((*place, key, index), "found an empty text", "a name")
        workloads = [
            workload
            for index, text in enumerate(role.workloads)
            if (workload := _workload(text, (*place, "workloads", index), services, tree))
        ]
        roles[name] = msgspec.structs.replace(role, workloads=tuple(workloads))
    for cycle in _cycles(config.roles):
        tree.add(
            ("roles", cycle[0], "includes"),
            f"the roles include each other: {' -> '.join([*cycle, cycle[0]])}",
            "",
            "Take one of these out",
        )
    bindings = sum(len(r.workloads) + len(r.users) + len(r.groups) for r in config.roles.values())
    if bindings > MAX_BINDINGS:
        tree.add(
            ("roles",),
            f"{bindings} role bindings",
            f"at most {MAX_BINDINGS}",
            "Move them to a bindings_file",
        )
    return roles


def _workload(text: str, place: Place, services: dict[str, Service], tree: Tree) -> str:
    if text in services:
        return services[text].id
    if text.startswith("spiffe:"):
        try:
            names.check_workload(text)
        except SpiffeError as error:
            tree.add(place, str(error), "a SPIFFE ID, or a prefix of IDs that ends in /*")
        return text
    tree.add(
        place,
        f"unknown service {shown(text)}",
        f"a service of this file ({', '.join(services) or 'it has none'}), a SPIFFE ID, or a "
        "prefix of IDs that ends in /*",
        closest(text, services, f"Add it: services.{text}"),
    )
    return ""


def _cycles(roles: dict[str, Role]) -> Iterator[list[str]]:
    """Loops of `includes`, until cutting each of those yielded would leave none."""
    graph = {name: set(role.includes) for name, role in roles.items()}
    while True:
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            found: list[str] = error.args[1]
            cycle = found[:0:-1]
            yield cycle
            graph[cycle[0]].discard(cycle[1 % len(cycle)])
        else:
            return


def _networks(networks: NetworkLists, services: dict[str, Service], tree: Tree) -> None:
    _cidrs(networks.mesh or (), ("networks", "mesh"), tree)
    _cidrs(networks.trusted_proxies, ("networks", "trusted_proxies"), tree)
    for name, cidrs in networks.services.items():
        place: Place = ("networks", "services", name)
        if name not in services:
            tree.add(
                place,
                f"unknown service {shown(name)}",
                ", ".join(services),
                closest(name, services, f"Add it: services.{name}"),
            )
        _cidrs(cidrs, place, tree)
    for method, cidrs in networks.methods.items():
        place = ("networks", "methods", method)
        if not names.is_method(method):
            tree.add(place, f"found {shown(method)}", names.METHODS)
        _cidrs(cidrs, place, tree)


def _cidrs(cidrs: Sequence[str], place: Place, tree: Tree) -> None:
    for index, cidr in enumerate(cidrs):
        try:
            ipaddress.ip_network(cidr)
        except ValueError:
            try:
                remedy = f"Write {ipaddress.ip_network(cidr, strict=False)}, or one address"
            except ValueError:
                remedy = ""
            allowed = "a network in CIDR notation, such as 10.0.0.0/8 or fd00::/8"
            tree.add((*place, index), f"found {shown(cidr)}", allowed, remedy)


def _issuers(issuers: Sequence[Issuer], tree: Tree) -> None:
    first: dict[str, int] = {}
    for index, issuer in enumerate(issuers):
        place: Place = ("issuers", index)
        if first.setdefault(issuer.issuer, index) != index:
            tree.add(
                (*place, "issuer"), f"{shown(issuer.issuer)} stands twice", "", "Keep one of them"
            )
        given = [key for key in ("jwks", "discovery", "file") if getattr(issuer, key)]
        if len(given) != 1:
            tree.add(
                place,
                f"{' and '.join(given) or 'no source of keys'} given",
                "exactly one of jwks, discovery, file",
            )
        for key in ("jwks", "discovery"):
            url = str(getattr(issuer, key))
            if url and not _is_safe_url(url):
                tree.add(
                    (*place, key),
                    f"found {shown(url)}",
                    "a URL with https (http only to this machine)",
                )
        for position, algorithm in enumerate(issuer.algorithms):
            if algorithm not in ALGORITHMS:
                tree.add(
                    (*place, "algorithms", position),
                    f"found {shown(algorithm)}",
                    ", ".join(ALGORITHMS),
                )


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


def _is_safe_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.username or parts.password or not host:
        return False
    return parts.scheme == "https" or (
        parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost")
    )
