"""MP204: every call that mesh.yaml declares is of a method that the contracts have."""

from __future__ import annotations

from meshpact.contracts.lint.callers import methods_by_name
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.mesh.reader import closest


def _find(context: Context) -> Hits:
    assert context.mesh is not None
    methods = methods_by_name(context)
    services = {name.rpartition("/")[0] for name in methods}
    packages = {service.rpartition(".")[0] for service in services}
    for call in context.mesh.calls:
        service, _, short = call.method.rpartition("/")
        if service in services:
            known = [name for name in methods if name.startswith(f"{service}/")]
            found = short == "*" or call.method in methods
        else:
            known = [f"{each}/*" for each in services]
            found = service.rpartition(".")[0] not in packages
        if not found:
            near = closest(call.method, known, "correct the name, or drop the call")
            yield Hit(
                f"{call.caller} calls {call.method}, which no contract has",
                near[:1].lower() + near[1:],
                place=call.place,
                subject=call.method,
            )


RULE = LintRule(
    id="MP204",
    name="call-known",
    summary="Every call that mesh.yaml declares is of a method that the contracts have.",
    why="what is checked of a call by its name is not checked when the name is wrong",
    needs_mesh=True,
    whole=_find,
)
