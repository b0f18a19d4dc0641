"""What a change of each key of mesh.yaml is found to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from meshpact.contracts.image import Image, compile_image
from meshpact.contracts.review.compare import State, compare
from meshpact.contracts.review.model import Change
from meshpact.contracts.review.rules import RULES
from meshpact.contracts.review.sides import Side
from meshpact.mesh import model
from review.limitcases import LIMIT_CASES
from review.meshcases import DECIDES_NOTHING, MESH, MESH_CASES, PROTOS, MeshCase
from review.reviews import HEAD, write

CASES = (*MESH_CASES, *LIMIT_CASES)
STRUCTS = (
    model.MeshConfig,
    model.Service,
    model.Role,
    model.Method,
    model.Denied,
    model.Federated,
    model.AuditSettings,
    model.NetworkLists,
    model.Issuer,
    model.Limits,
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return compile_image([write(tmp_path_factory.mktemp("protos"), HEAD + PROTOS)])


def _reviewed(image: Image, folder: Path, old: str, new: str) -> tuple[Change, ...]:
    states: list[State] = []
    for name, text in (("old", old), ("new", new)):
        path = folder / name / "mesh.yaml"
        path.parent.mkdir()
        path.write_text(text)
        states.append(State(Side(name, image, path, {}), {}, whole=True))
    return compare(states[0], states[1], "FILE").changes


def _found(changes: tuple[Change, ...]) -> dict[tuple[str, str], str]:
    return {(each.subject, each.delta.rule): each.delta.impact.value for each in changes}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.decides}: {case.name}")
def test_a_change_of_the_mesh_is_found_to_be_what_it_is(
    image: Image, tmp_path: Path, case: MeshCase
) -> None:
    assert case.before in MESH, case.before
    changes = _reviewed(image, tmp_path, MESH, MESH.replace(case.before, case.after))
    assert _found(changes) == case.found
    for each in changes:
        assert each.delta.rule in RULES
        if each.delta.rule in case.touched:
            methods = {touch.method for touch in each.touched if touch.kind != "callers"}
            assert methods == case.touched[each.delta.rule]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.decides}: {case.name}")
def test_a_change_of_the_mesh_taken_back_is_found_where_it_was_found(
    image: Image, tmp_path: Path, case: MeshCase
) -> None:
    back = _found(_reviewed(image, tmp_path, MESH.replace(case.before, case.after), MESH))
    opposite = {"breaks-callers": "widens-access", "widens-access": "breaks-callers"}
    changed = {impact for impact in case.found.values() if impact in opposite}
    sure = not {rule for _, rule in case.found} & {"issuer-keys", "federation-bundle", "proxies"}
    lasting = any(subject.startswith(("limits", "audit")) for subject, _ in case.found)
    assert bool(back) == bool(case.found)
    if sure and not lasting:
        assert {opposite[impact] for impact in changed} <= set(back.values())


def test_another_trust_domain_is_told_once(image: Image, tmp_path: Path) -> None:
    new = MESH.replace("shop.example", "store.example")
    found = _found(_reviewed(image, tmp_path, MESH, new))
    assert found["trust_domain", "trust-domain"] == "breaks-callers"
    assert not any(rule == "identity-changed" for _, rule in found)


def test_a_mesh_without_networks_that_takes_a_proxys_word_changes_nothing(
    image: Image, tmp_path: Path
) -> None:
    head, _, rest = MESH.partition("networks:\n")
    bare = f"{head}{rest[rest.index('issuers:') :]}"
    new = f"{bare}networks: {{trusted_proxies: [10.0.0.1]}}\n"
    found = _found(_reviewed(image, tmp_path, bare, new))
    assert found == {("networks.trusted_proxies", "proxies"): "note"}


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_key_of_the_mesh_stands_in_the_table(struct: type) -> None:
    """A new key of mesh.yaml needs its golden findings, or a place among what decides nothing."""
    name = struct.__name__
    told = {case.decides for case in CASES}
    nothing = DECIDES_NOTHING.get(name, set[str]())
    missing = {
        each.name
        for each in structs.fields(struct)
        if f"{name}.{each.name}" not in told and each.name not in nothing
    }
    assert not missing
