"""Writes docs/wire-hygiene.md: its words stand here, its table comes from the attacks themselves.

PYTHONPATH=tests:tests/demo_contract/generated python -m wire.page
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from wire.attacks import attacks
from wire.target import Attack

PAGE: Final = Path(__file__).parents[2] / "docs" / "wire-hygiene.md"
REMEDY: Final = (
    "docs/wire-hygiene.md is stale: run "
    "PYTHONPATH=tests:tests/demo_contract/generated python -m wire.page"
)
WORDS: Final = Path(__file__).with_name("page.txt")


def render() -> str:
    """The page's text."""
    return WORDS.read_text(encoding="utf-8").replace("{table}", table())


def table() -> str:
    """One row an attack: who ends it and how, where the modes differ in each of them."""
    modes = [
        {attack.name: attack for attack in attacks(strict=strict, kind=kind)}
        for kind, strict in (("aio", False), ("sync", False), ("aio", True))
    ]
    rows = ["| attack | who ends it | how |", "|---|---|---|"]
    for name in modes[0]:
        aio, sync, strict = (mode.get(name, modes[0][name]) for mode in modes)
        parts = {"aio": aio, "sync": sync, "strict": strict}
        if _how(aio) == _how(sync) == _how(strict) and aio.who == sync.who == strict.who:
            rows.append(f"| {_cell(name)} | {aio.who} | {_how(aio)} |")
        elif _how(aio) == _how(sync) and aio.who == sync.who:
            parts = {"default": aio, "strict": strict}
        elif _how(aio) == _how(strict):
            parts = {"aio": aio, "sync": sync}
        if not rows[-1].startswith(f"| {_cell(name)} |"):
            who = "; ".join(f"{mode}: {attack.who}" for mode, attack in parts.items())
            how = "; ".join(f"{mode}: {_how(attack)}" for mode, attack in parts.items())
            rows.append(f"| {_cell(name)} | {who} | {how} |")
    return "\n".join(rows)


def _how(attack: Attack) -> str:
    words = {
        "reset": "RST_STREAM",
        "tls": "no handshake",
        "closed": "the connection is closed",
        "goaway": "GOAWAY",
        "timeout": "nothing is sent",
    }
    return " or ".join(words.get(each, each) for each in attack.expected)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
