"""MP205: every contract that mesh.yaml says a service serves is one of the contracts."""

from __future__ import annotations

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.mesh.reader import closest


def _find(context: Context) -> Hits:
    assert context.mesh is not None
    known = {service.full_name for file in context.contracts.files for service in file.services}
    packages = {name.rpartition(".")[0] for name in known}
    for served in context.mesh.served:
        if served.contract in known or served.contract.rpartition(".")[0] not in packages:
            continue
        near = closest(served.contract, known, "correct the name, or take it out")
        yield Hit(
            f"{served.service} serves {served.contract}, which no contract has",
            near[:1].lower() + near[1:],
            place=served.place,
            subject=served.contract,
        )


RULE = LintRule(
    id="MP205",
    name="serves-known",
    summary="Every contract that mesh.yaml says a service serves is one of the contracts.",
    why="whose deadlines and audience a method has is not known when the name is wrong",
    needs_mesh=True,
    whole=_find,
)
