"""A real OpenID provider: logins, expiry, key rotation, revocation, bound and exchanged tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from interop import oidcbuild, oidcscenario
from interop.oidcscenario import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    package = oidcbuild.found() or oidcbuild.install() or pytest.skip(oidcbuild.MISSING)
    with oidcscenario.world(tmp_path_factory.mktemp("oidc"), package) as made:
        yield made


@pytest.mark.parametrize("step", oidcscenario.STEPS, ids=lambda step: step.__name__)
def test_with_a_real_provider(world: World, step: Callable[[World], None]) -> None:
    step(world)
