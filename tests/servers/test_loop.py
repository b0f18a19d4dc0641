"""The loop of a serving process."""

from __future__ import annotations

import asyncio

import pytest

from meshpact.servers import loop


def test_programs_run_on_uvloop_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> type[asyncio.AbstractEventLoop]:
        return type(asyncio.get_running_loop())

    assert loop.run(main()) is uvloop.Loop


def test_elsewhere_they_run_on_asyncios_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_name: str) -> None: ...

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    assert loop.factory() is None

    async def main() -> int:
        return 42

    assert loop.run(main()) == 42
