"""Stages of both kinds, and an issuer that exchanges tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meshpact.testing.hosting import Kind, Workbench
from propagation.issuer import ExchangingIssuer
from propagation.stage import Stage


@pytest.fixture(scope="session")
def bench() -> Iterator[Workbench]:
    with Workbench() as made:
        yield made


@pytest.fixture(params=["aio", "sync"])
def stage(bench: Workbench, request: pytest.FixtureRequest) -> Stage:
    kind: Kind = request.param
    return Stage(bench, kind)


@pytest.fixture
def issuer(bench: Workbench) -> Iterator[ExchangingIssuer]:
    with ExchangingIssuer(bench.issuer) as running:
        yield running
