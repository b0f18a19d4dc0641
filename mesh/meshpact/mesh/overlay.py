"""Policies of contracts that one does not own (health, reflection, third parties), from YAML.

The file maps a method, `package.Service/Method`, or a whole service, `package.Service/*`, to a
policy in the JSON form of meshpact.policy.v1.Policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml
from google.protobuf.json_format import ParseDict, ParseError

from meshpact.mesh import names
from meshpact.mesh.problems import shown
from meshpact.mesh.tree import Place, Tree, read_tree
from meshpact.policy.v1 import policy_pb2

_TAG: Final = "tag:yaml.org,2002:"


class Overlay(Mapping[str, policy_pb2.Policy]):
    """Policies by method, asked for as `/package.Service/Method`, with the slash or without.

    A policy of the method itself comes before one of its whole service. Iterating gives what the
    file has, `/package.Service/Method` and `/package.Service/*`.
    """

    def __init__(self, policies: Mapping[str, policy_pb2.Policy]) -> None:
        self._policies = {f"/{name.removeprefix('/')}": each for name, each in policies.items()}

    def __getitem__(self, method: str) -> policy_pb2.Policy:
        path = f"/{method.removeprefix('/')}"
        found = self._policies.get(path)
        return self._policies[path.rpartition("/")[0] + names.ANY] if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)


def load(path: Path | str) -> Overlay:
    """The policies of an overlay file. MeshFileError lists every part of a policy that is wrong."""
    tree = read_tree(Path(path))
    policies: dict[str, policy_pb2.Policy] = {}
    entries: list[tuple[yaml.Node, yaml.Node]] = []
    if isinstance(tree.root, yaml.MappingNode):
        entries = tree.root.value
    else:
        tree.add((), "found no methods", "package.Service/Method: {access: ..., audit: ...}")
    for key, node in entries:
        name = str(key.value)
        if not names.is_method(name):
            tree.add((name,), f"found {shown(name)}", names.METHODS)
        elif (policy := _policy(tree, name, node)) is not None:
            policies[name] = policy
    tree.raise_problems()
    return Overlay(policies)


def _policy(tree: Tree, name: str, node: yaml.Node) -> policy_pb2.Policy | None:
    if not isinstance(node, yaml.MappingNode):
        tree.add((name,), "found no policy", "the parts of meshpact.policy.v1.Policy: access, ...")
        return None
    policy = policy_pb2.Policy()
    sound = True
    # Part by part, so that an error has the line of its part.
    for key, part in node.value:
        place: Place = (name, str(key.value))
        try:
            ParseDict({str(key.value): _plain(part)}, policy)
        except ParseError as error:
            sound = False
            tree.add(place, str(error), "", "See meshpact/policy/v1/policy.proto")
    return policy if sound else None


def _plain(node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    text = str(node.value)
    if node.tag == f"{_TAG}bool":
        return text.lower() in ("true", "yes", "on")
    if node.tag == f"{_TAG}null":
        return None
    if node.tag in (f"{_TAG}int", f"{_TAG}float"):
        return _number(text)
    return text


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
