"""Each way in that must be shut is shut, and the right one opens."""

from __future__ import annotations

import pytest

from identity_system.refusals import OTHERS, Case, outcome
from identityworld import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("case", OTHERS, ids=[case.name for case in OTHERS])
async def test_what_comes_of_it_is_what_must(world: World, case: Case) -> None:
    assert await outcome(case, world) == case.expected
