"""The methods of a mesh with their policies, and where in the contracts these stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor_pb2 import MethodOptions

from meshpact.contracts.check_policy import locate
from meshpact.contracts.faults import ContractsError, Fault, Place, WrongUse
from meshpact.contracts.image import Image
from meshpact.contracts.model import Contracts, Method
from meshpact.interceptors import policy as policies
from meshpact.interceptors.policy import MethodPolicy
from meshpact.mesh import names
from meshpact.mesh.reader import closest
from meshpact.policy.v1 import policy_pb2 as pb

Overlay = Mapping[str, pb.Policy]
"""Policies by `package.Service/Method`."""

BUILT_IN: Final = "built into every server"
"""Stands for the place of policies that no file has."""


@dataclass(frozen=True)
class AccessMethod:
    """One method, `package.Service/Method`, with its policy; `place` says where a part of it stands
    (`access.roles`)."""

    name: str
    policy: MethodPolicy
    place: Callable[[str], Place]

    @property
    def service(self) -> str:
        """The full name of its service."""
        return self.name.rpartition("/")[0]


def methods_of(
    image: Image,
    overlay: Overlay,
    overlay_file: str = "",
    *,
    whole: bool = True,
    contracts: Contracts | None = None,
) -> dict[str, AccessMethod]:
    """All methods by name: those of the contracts, and those that only `overlay` knows.

    ContractsError lists the methods that have no sound policy; without `whole` those that state
    none at all are left out, and so are those of a file in which protoc passed over something, as
    policies that were cut there are none. `contracts` are those of the image, where somebody has
    them.
    """
    faults: list[Fault] = []
    cut = {each.fault.place.file for each in image.passed_over}
    found: dict[str, AccessMethod] = {}
    contracts = contracts or Contracts(image)
    for file in contracts.files:
        for service in file.services:
            for method in service.methods:
                above = overlay.get(method.name)
                policy = method.policy if above is None else policies.merge(method.policy, above)[0]
                if (image.own[file.name] is None or not whole) and not policy.ListFields():
                    continue  # an imported service that nobody here serves
                idempotency = method.proto.options.idempotency_level
                if problems := policies.problems(policy, frozenset(), idempotency):
                    if str(image.own[file.name]) in cut:
                        continue  # what is left of it is no policy, and no server starts with it
                    where = image.place(file.name, *file.locations.of(method.path))
                    faults += [Fault(where, method.name, p.message, p.remedy) for p in problems]
                    continue
                found[method.name] = AccessMethod(
                    method.name,
                    policies.build(policy, idempotency),
                    _Places(contracts, method, above, overlay_file),
                )
    if faults:
        raise ContractsError(faults)
    found.update(_of_overlay(overlay, found, overlay_file))
    return dict(sorted(found.items()))


def _of_overlay(
    overlay: Overlay, known: Mapping[str, AccessMethod], file: str
) -> Iterator[tuple[str, AccessMethod]]:
    unknown = MethodOptions.IDEMPOTENCY_UNKNOWN
    for path in overlay:
        name = path.removeprefix("/")
        if name not in known and not name.endswith(names.ANY):
            policy = overlay[name]
            if not policies.problems(policy, frozenset(), unknown):
                yield name, AccessMethod(name, policies.build(policy, unknown), _at(file))


def _at(overlay_file: str) -> Callable[[str], Place]:
    place = Place(overlay_file or BUILT_IN)

    def at(_: str) -> Place:
        return place

    return at


def method_named(methods: Mapping[str, AccessMethod], name: str) -> AccessMethod:
    """A method by its name; WrongUse says which is like it."""
    found = methods.get(name.removeprefix("/"))
    if found is None:
        remedy = closest(name, methods, f"There are: {', '.join(methods)}")
        raise WrongUse(f"no contract has the method {name!r}. {remedy}")
    return found


class _Places:
    """Where the parts of one method's policy stand."""

    def __init__(
        self, contracts: Contracts, method: Method, above: pb.Policy | None, overlay_file: str
    ) -> None:
        self._contracts = contracts
        self._method = method
        self._above = above
        self._overlay_file = overlay_file

    def __call__(self, part: str) -> Place:
        method = self._method
        file = method.service.file
        root = part.partition(".")[0]
        if self._above is not None and any(
            field.name == root for field, _ in self._above.ListFields()
        ):
            return Place(self._overlay_file or BUILT_IN)
        owner, options = (method.service.path, 3) if root in method.inherited else (method.path, 4)
        stated = file.locations.policy_option((*owner, options), pb.Policy.DESCRIPTOR)
        entry = locate(stated, part)
        position = entry.position if entry is not None else file.locations.of(owner)
        return self._contracts.image.place(file.name, *position)
