"""The pace of messages in streams: a burst, then an even pace, each key by itself."""

from __future__ import annotations

import asyncio

import pytest

from meshpact.servers.pacing import Pace


class Still(asyncio.SelectorEventLoop):
    """A loop whose time the test sets."""

    now = 1000.0

    def time(self) -> float:
        return self.now


def test_a_burst_passes_then_an_even_pace() -> None:
    with asyncio.Runner(loop_factory=Still) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Still)
        pace = Pace(10, 1.0, burst=3)

        async def take(key: str) -> float:
            return pace.take(key)

        assert [runner.run(take("a")) for _ in range(3)] == [0.0] * 3
        assert runner.run(take("a")) == pytest.approx(0.1)
        assert runner.run(take("b")) == 0.0
        loop.now += 0.1
        assert runner.run(take("a")) == 0.0
        assert runner.run(take("a")) > 0
        loop.now += 10
        assert [runner.run(take("a")) > 0 for _ in range(4)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("messages", "per", "burst", "words"),
    [
        (0, 1.0, 1, "messages is 0; allowed: more than 0"),
        (1, 0.0, 1, "per is 0.0"),
        (1, 1.0, 0, "burst is 0"),
        (1, float("nan"), 1, "per is nan"),
    ],
)
def test_a_pace_that_lets_nothing_through_is_refused(
    messages: int, per: float, burst: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Pace(messages, per, burst=burst)
