"""Identities change under calls of all shapes, on all pairs of clients and servers."""

from __future__ import annotations

from meshpact.testing.hosting import Workbench
from rotation.domain import Domain
from rotation.load import Load


def test_no_call_is_lost_while_leaves_are_renewed() -> None:
    with Workbench() as bench:
        domain = Domain(bench.authority)
        with Load(bench, domain, length=20) as load:
            for _ in range(4):
                load.change(domain.renew)
    assert not load.tally.failures
    assert len(load.tally.ended) == 16
    assert all(load.tally.spanning[key] for key in load.tally.ended if "Echo" not in key)


def test_no_call_is_lost_while_the_ca_is_replaced() -> None:
    with Workbench() as bench:
        domain = Domain(bench.authority)
        with Load(bench, domain, length=20) as load:
            for step in (domain.prepare, domain.activate, domain.retire):
                load.change(step)
    assert not load.tally.failures
    assert len(load.tally.ended) == 16
