"""The calls that mesh.yaml declares, joined with the contracts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from meshpact.contracts.lint.mesh import Call
from meshpact.contracts.lint.model import Context
from meshpact.contracts.model import Method
from meshpact.contracts.serving import Serving
from meshpact.interceptors import policy as policies
from meshpact.mesh.names import ANY


def methods_by_name(context: Context) -> dict[str, Method]:
    """The methods of the user's own contracts by `package.Service/Method`, with their policies as
    the mesh's overlay leaves them."""
    overlay = context.mesh.overlay if context.mesh is not None else None
    found: dict[str, Method] = {}
    for file in context.contracts.files:
        for service in file.services:
            for method in service.methods:
                above = overlay.get(method.name) if overlay is not None else None
                if above is not None:
                    merged, _ = policies.merge(method.policy, above)
                    found[method.name] = replace(method, policy=merged)
                else:
                    found[method.name] = method
    return found


def calls_of(context: Context) -> Iterator[tuple[Call, Sequence[Method]]]:
    """Every declared call of own methods: one, or with `/*` all of a service."""
    assert context.mesh is not None
    methods = methods_by_name(context)
    by_service: dict[str, list[Method]] = {}
    for method in methods.values():
        by_service.setdefault(method.service.full_name, []).append(method)
    for call in context.mesh.calls:
        if call.method in methods:
            yield call, (methods[call.method],)
        elif call.method.endswith(ANY) and call.method.removesuffix(ANY) in by_service:
            yield call, by_service[call.method.removesuffix(ANY)]


class Served:
    """Which methods a service of mesh.yaml serves, as far as it is known (`contracts.serving`)."""

    def __init__(self, context: Context) -> None:
        assert context.mesh is not None
        self._methods: dict[str, list[Method]] = {}
        for method in methods_by_name(context).values():
            self._methods.setdefault(method.service.full_name, []).append(method)
        self._serving = Serving(context.mesh.config, self._methods)

    def by(self, service: str) -> list[Method]:
        """Its methods that have a default deadline; none for a workload that only calls."""
        return [
            each
            for contract in self._serving.by(service)
            for each in self._methods[contract]
            if each.policy.deadline.HasField("default")
        ]
