"""Edits of a mesh.yaml: each changes one thing and says what, "" when it does not fit."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from meshpact.mesh import config as configs
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.problems import MeshFileError
from review import guardworld

Mesh = dict[str, Any]
"""A mesh.yaml as it is read."""

_CIDRS: Final = (
    "127.0.0.0/8",
    "127.0.0.0/9",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "::1/128",
    "::ffff:10.0.0.0/104",
    "fd00::/8",
    "unix",
)
_PROXIES: Final = ("127.0.0.9", "10.1.2.3", "192.0.2.7", "unix")
_FOREIGN: Final = ("spiffe://acme.example/batch/*", "spiffe://acme.example/batch/nightly")
_AUDIENCES: Final = ("retail.acme.example", "counter", "till")

Edit = Callable[[Mesh, Sequence[str], random.Random], str]
"""(the mesh, the methods of its contracts) -> what was changed."""


def reference(path: Path, methods: Sequence[str]) -> Mesh:
    """The reference organization's mesh.yaml, as far as it decides about calls; tokens are those of
    the guards' world. Some bind users and groups, so that there is something to take away, and each
    service says what it serves."""
    read: Mesh = copy.deepcopy(_read(path))
    kept = ("trust_domain", "services", "roles", "networks", "methods")
    mesh: Mesh = {key: read[key] for key in kept if key in read}
    mesh["issuers"] = [
        {
            "issuer": guardworld.ISSUER,
            "file": str(guardworld.keys()),
            "audiences": list(_AUDIENCES[:1]),
            "algorithms": ["ES256"],
        }
    ]
    contracts = dict.fromkeys(method.rpartition("/")[0] for method in methods)
    for name, service in mesh["services"].items():
        service.pop("web", None)
        if "factory" in service:
            own = [each for each in contracts if name in each.split(".")]
            service["serves"] = own
    for role in mesh["roles"].values():
        role.pop("users", None)
        role.pop("groups", None)
    roles = sorted(mesh["roles"])
    mesh["roles"][roles[0]]["users"] = ["anna"]
    mesh["roles"][roles[1]]["groups"] = ["staff"]
    mesh["denied"] = {"workloads": ["spiffe://acme.example/batch/old"]}
    return mesh


@cache
def _read(path: Path) -> Mesh:
    found: Mesh = yaml.safe_load(path.read_text())
    return found


def written(mesh: Mesh, folder: Path) -> MeshConfig | None:
    """The mesh, written to a folder's mesh.yaml and read again; None when it is no sound one."""
    path = folder / "mesh.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(mesh, indent=1))
    try:
        return configs.load(path)
    except MeshFileError:
        return None


def _edit_bindings(mesh: Mesh, methods: Sequence[str], chance: random.Random) -> str:
    role = chance.choice(sorted(mesh["roles"]))
    key, names = chance.choice(
        [
            ("workloads", [*mesh["services"], *_FOREIGN]),
            ("workloads", [*mesh["services"]]),
            ("users", ["anna", "bert"]),
            ("groups", ["staff", "night"]),
        ]
    )
    return _toggle(mesh["roles"][role].setdefault(key, []), chance.choice(names), f"{role}.{key}")


def _edit_includes(mesh: Mesh, methods: Sequence[str], chance: random.Random) -> str:
    role, other = chance.sample(sorted(mesh["roles"]), 2)
    return _toggle(mesh["roles"][role].setdefault("includes", []), other, f"{role}.includes")


def _edit_denied(mesh: Mesh, methods: Sequence[str], chance: random.Random) -> str:
    names = [*mesh["services"], *_FOREIGN, "spiffe://acme.example/batch/old"]
    return _toggle(mesh["denied"]["workloads"], chance.choice(names), "denied")


def _edit_mode(mesh: Mesh, methods: Sequence[str], chance: random.Random) -> str:
    if chance.random() < 0.5:
        role = chance.choice(sorted(mesh["roles"]))
        entry = mesh["roles"][role]
        place = f"roles.{role}"
    else:
        method = chance.choice(methods)
        name = chance.choice([method, f"{method.rpartition('/')[0]}/*"])
        entry = mesh.setdefault("methods", {}).setdefault(name, {})
        place = f"methods.{name}"
    observed = entry.get("mode") == "observe"
    entry["mode"] = "enforce" if observed else "observe"
    return f"{place}: {entry['mode']}"


def _edit_networks(mesh: Mesh, methods: Sequence[str], chance: random.Random) -> str:
    lists: Mesh = mesh["networks"]
    what = chance.choice(["mesh", "services", "methods", "trusted_proxies"])
    if what == "trusted_proxies":
        return _toggle(lists.setdefault(what, []), chance.choice(_PROXIES), what)
    if what == "mesh":
        return _list_edit(lists, "mesh", chance)
    names = list(mesh["services"]) if what == "services" else [*methods]
    name = chance.choice(names)
    if what == "methods" and chance.random() < 0.3:
        name = f"{name.rpartition('/')[0]}/*"
    return f"{what} {name}: {_list_edit(lists.setdefault(what, {}), name, chance)}"


def _list_edit(lists: Mesh, name: str, chance: random.Random) -> str:
    known = lists.get(name)
    if known is None:
        lists[name] = chance.sample(_CIDRS, 3)
    elif chance.random() < 0.2:
        del lists[name]
        return "no list"
    else:
        _toggle(known, chance.choice(_CIDRS), name)
    return f"{lists[name]}"


def _edit_issuer(mesh: Mesh, methods: Sequence[str], chance: random.Random) -> str:
    (issuer,) = mesh["issuers"]
    key, names = chance.choice([("audiences", _AUDIENCES), ("algorithms", ("ES256", "ES384"))])
    text = _toggle(issuer[key], chance.choice(names), key)
    return text if issuer[key] else ""


def _toggle(listed: list[Any], entry: Any, place: str) -> str:
    if entry in listed:
        listed.remove(entry)
        return f"{place} loses {entry}"
    listed.append(entry)
    return f"{place} gets {entry}"


EDITS: Final[tuple[Edit, ...]] = (
    _edit_bindings,
    _edit_bindings,
    _edit_includes,
    _edit_denied,
    _edit_mode,
    _edit_networks,
    _edit_networks,
    _edit_issuer,
)
