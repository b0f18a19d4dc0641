"""The stage of the tests of rotation, for each kind of channel and server in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import pytest

from rotation.load import KINDS
from rotation.stage import Stage


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest) -> Generator[Stage]:
    with contextlib.ExitStack() as stack:
        yield Stage(request.param, stack)
