"""Servers end every attack with the right status, in bounded time, and stay alive."""

from __future__ import annotations

import pytest

from meshpact.testing.hosting import Kind
from wire import page
from wire.attacks import attacks
from wire.hygiene import KINDS, outcomes

ROWS = [
    pytest.param(
        kind, strict, attack.name, id=f"{kind}{'-strict' if strict else ''}: {attack.name}"
    )
    for kind in KINDS
    for strict in (False, True)
    for attack in attacks(strict=strict, kind=kind)
]
Outcomes = dict[tuple[Kind, bool, str], list[str]]


@pytest.fixture(scope="module")
def found() -> Outcomes:
    """What went wrong in each attack: all are made once, on four servers at once."""
    return outcomes()


@pytest.mark.parametrize(("kind", "strict", "name"), ROWS)
def test_the_server_ends_the_attack_as_it_must_and_stays_alive(
    found: Outcomes, kind: Kind, strict: bool, name: str
) -> None:
    assert found[kind, strict, name] == []


def test_each_attack_has_a_name_of_its_own() -> None:
    for kind in KINDS:
        names = [attack.name for attack in attacks(strict=False, kind=kind)]
        assert len(names) == len(set(names))


def test_the_page_of_the_docs_lists_every_attack_as_it_is_tested() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.render(), page.REMEDY
