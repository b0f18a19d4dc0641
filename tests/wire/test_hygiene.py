"""Servers end every attack with the right status, at once, and stay alive."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from meshpact.testing.hosting import Kind
from wire.attacks import attacks
from wire.hygiene import KINDS, target
from wire.target import Attack, Target

ROWS = [
    pytest.param(kind, strict, attack, id=f"{kind}{'-strict' if strict else ''}: {attack.name}")
    for kind in KINDS
    for strict in (False, True)
    for attack in attacks(strict=strict, kind=kind)
]

Aim = Callable[[Kind, bool], Target]


@pytest.fixture(scope="module")
def aim() -> Iterator[Aim]:
    """Servers to attack, each started when it is first aimed at."""
    running: dict[tuple[Kind, bool], Target] = {}
    with contextlib.ExitStack() as stack:

        def at(kind: Kind, strict: bool) -> Target:
            if (kind, strict) not in running:
                running[kind, strict] = stack.enter_context(target(kind, strict=strict))
            return running[kind, strict]

        yield at


@pytest.mark.parametrize(("kind", "strict", "attack"), ROWS)
def test_the_server_ends_the_attack_as_it_must_and_stays_alive(
    aim: Aim, kind: Kind, strict: bool, attack: Attack
) -> None:
    assert attack.run(aim(kind, strict)) == []
