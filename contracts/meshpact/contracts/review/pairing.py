"""Which service, method and message of the old contracts is which of the new ones.

What has the same full name is the same thing, whatever file it stands in. The rest is matched by
what it is: services by the names of their methods, methods by name and shape, messages by the
methods and fields that they belong to. Only what fits one thing and no other is taken for moved.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshpact.contracts.model import Contracts, Method
from meshpact.contracts.review.reach import Pair, Reach

_ALIKE = 0.5
"""The part of their methods' names that two services share at least when one became the other."""


@dataclass(frozen=True)
class Pairs:
    """Old name -> new name, of methods (`package.Service/Method`) and of messages (with the leading
    dot); what is on one side only is in neither."""

    methods: Mapping[str, str]
    messages: Mapping[str, str]
    reach: Reach
    """Which message stands at the place of which, also where both are on both sides."""

    @property
    def replaced(self) -> list[Pair]:
        """Messages that took the place of others, which became none of these."""
        return [(old, new) for old, new in self.reach.pairs if self.messages.get(old) != new]


def pairs_of(old: Contracts, new: Contracts) -> Pairs:
    """What became what."""
    before, after = _methods(old), _methods(new)
    methods = {name: name for name in before if name in after}
    gone = {name: method for name, method in before.items() if name not in after}
    come = {name: method for name, method in after.items() if name not in before}
    if gone and come:
        methods.update(_moved_with_services(old, new, gone, come))
        for by_name in (True, False):
            left = {name: each for name, each in gone.items() if name not in methods}
            free = set(come) - set(methods.values())
            methods.update(_alike(left, {name: come[name] for name in free}, old, new, by_name))
    reach = Reach(old, new, ((before[one], after[two]) for one, two in methods.items()))
    messages = {name: name for name in old.messages if name in new.messages}
    for pair in reach.pairs:
        messages.setdefault(*pair)
    return Pairs(methods, messages, reach)


def _methods(contracts: Contracts) -> dict[str, Method]:
    return {
        method.name: method
        for file in contracts.files
        for service in file.services
        for method in service.methods
    }


def _moved_with_services(
    old: Contracts, new: Contracts, gone: Mapping[str, Method], come: Mapping[str, Method]
) -> Iterator[tuple[str, str]]:
    """Methods that kept their names while their service got another."""
    before, after = _names(gone), _names(come)
    services = _services(old) - _services(new), _services(new) - _services(old)
    holders: dict[str, list[str]] = defaultdict(list)
    for service in services[1]:
        for name in after.get(service, ()):
            holders[name].append(service)
    best: dict[str, tuple[str, float]] = {}
    for service in sorted(services[0]):
        shared = Counter(each for name in before.get(service, ()) for each in holders[name])
        scores = sorted(
            ((count / len(before[service] | after[each]), each) for each, count in shared.items()),
            reverse=True,
        )
        if scores and scores[0][0] >= _ALIKE and (len(scores) == 1 or scores[0][0] > scores[1][0]):
            best[service] = scores[0][1], scores[0][0]
    taken = Counter(target for target, _ in best.values())
    for service, (target, _) in best.items():
        if taken[target] == 1:
            for name in before[service] & after[target]:
                yield f"{service}/{name}", f"{target}/{name}"


def _names(methods: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name in methods:
        service, _, method = name.rpartition("/")
        found[service].add(method)
    return found


def _services(contracts: Contracts) -> set[str]:
    return {service.full_name for file in contracts.files for service in file.services}


def _alike(
    gone: Mapping[str, Method],
    come: Mapping[str, Method],
    old: Contracts,
    new: Contracts,
    by_name: bool,
) -> Iterator[tuple[str, str]]:
    """Methods of the same shape, and of the same name or else in the same service."""
    before, after = _by_shape(gone, old, by_name), _by_shape(come, new, by_name)
    for shape, names in before.items():
        others = after.get(shape, [])
        if len(names) == 1 and len(others) == 1:
            yield names[0], others[0]


def _by_shape(
    methods: Mapping[str, Method], contracts: Contracts, by_name: bool
) -> dict[object, list[str]]:
    found: dict[object, list[str]] = defaultdict(list)
    for name, method in methods.items():
        proto = method.proto
        request, response = (
            _shape(contracts, type_) for type_ in (proto.input_type, proto.output_type)
        )
        if not by_name and not (request or response):
            continue  # empty messages are all alike
        where = proto.name if by_name else method.service.full_name
        streams = proto.client_streaming, proto.server_streaming
        found[where, streams, request, response].append(name)
    return found


def _shape(contracts: Contracts, message: str) -> object:
    _, proto = contracts.messages[message]
    return tuple(
        sorted((field.number, field.name, field.type, field.label) for field in proto.field)
    )
