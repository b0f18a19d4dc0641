"""What must hold in the parts of a mesh.yaml that say who may call: roles, networks, methods."""

from __future__ import annotations

import graphlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from meshpact.certs.spiffe import SpiffeError
from meshpact.mesh import names
from meshpact.mesh.model import MeshConfig, NetworkLists, Role, Service, Subject
from meshpact.mesh.problems import shown
from meshpact.mesh.reader import closest
from meshpact.mesh.subjects import SubjectError, resolved
from meshpact.mesh.tree import Place, Tree

MAX_BINDINGS: Final = 1000
"""Role bindings in mesh.yaml at most; YAML with more of them takes too long to reload."""


def check_roles(config: MeshConfig, services: dict[str, Service], tree: Tree) -> dict[str, Role]:
    """The roles with names of services and issuers of users resolved; faults go to the tree."""
    issuers = [issuer.issuer for issuer in config.issuers]
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
        workloads = [
            workload
            for index, text in enumerate(role.workloads)
            if (workload := check_workload(text, (*place, "workloads", index), services, tree))
        ]
        roles[name] = msgspec.structs.replace(
            role,
            workloads=tuple(workloads),
            users=_subjects(role.users, (*place, "users"), issuers, tree),
            groups=_subjects(role.groups, (*place, "groups"), issuers, tree),
        )
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


def check_workload(text: str, place: Place, services: Mapping[str, Service], tree: Tree) -> str:
    """The SPIFFE ID or prefix that an entry names; "" with a fault noted when it names none."""
    if text in services:
        return services[text].id
    if text.startswith("spiffe:"):
        try:
            names.check_workload(text)
        except SpiffeError as error:
            tree.add(place, str(error), names.WORKLOADS)
        return text
    tree.add(
        place,
        f"unknown service {shown(text)}",
        f"a service of this file ({', '.join(services) or 'it has none'}), {names.WORKLOADS}",
        closest(text, services, f"Add it: services.{text}"),
    )
    return ""


def check_methods(config: MeshConfig, tree: Tree) -> None:
    """The names under `methods`."""
    for method in config.methods:
        if not names.is_method(method):
            tree.add(("methods", method), f"found {shown(method)}", names.METHODS)


def check_networks(networks: NetworkLists, services: dict[str, Service], tree: Tree) -> None:
    """The lists of networks, and for whom they are."""
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


def _subjects(
    entries: Sequence[str | Subject], place: Place, issuers: Sequence[str], tree: Tree
) -> tuple[Subject, ...]:
    found: list[Subject] = []
    for index, entry in enumerate(entries):
        try:
            found.append(resolved(entry, issuers))
        except SubjectError as error:
            tree.add((*place, index), error.found, error.allowed, error.remedy)
    return tuple(found)


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


def _cidrs(cidrs: Sequence[str], place: Place, tree: Tree) -> None:
    for index, cidr in enumerate(cidrs):
        if cidr == names.UNIX:
            continue
        try:
            ipaddress.ip_network(cidr)
        except ValueError:
            try:
                remedy = f"Write {ipaddress.ip_network(cidr, strict=False)}, or one address"
            except ValueError:
                remedy = ""
            allowed = (
                "a network in CIDR notation, such as 10.0.0.0/8 or fd00::/8; unix for Unix sockets"
            )
            tree.add((*place, index), f"found {shown(cidr)}", allowed, remedy)
