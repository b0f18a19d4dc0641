"""The examples in the help are commands as they stand: in one piece, with options that exist."""

from __future__ import annotations

import re
import shlex

import pytest

from meshpact.cli import COMMANDS, main

INNER = {
    "certs": {"init", "issue", "show", "verify", "rotate", "bundle", "doctor"},
    "certs rotate": {"status", "prepare", "activate", "retire"},
    "access": {"matrix", "explain", "diff", "suggest"},
    "audit": {"tail", "verify"},
}
EVERY = [
    "",
    *COMMANDS,
    *(f"{group} {name}" for group, names in INNER.items() for name in sorted(names)),
]


@pytest.mark.parametrize("command", EVERY)
def test_the_examples_of_a_command_are_whole_and_its_own(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), "--help"]) == 0
    examples = _examples(capsys.readouterr().out)
    assert examples
    for example in examples:
        program, *words = shlex.split(example.partition(" > ")[0])
        assert program == "meshpact"
        names = command.split()
        assert words[: len(names)] == names
        options = [*words[: len(names)], "--help", *words[len(names) :]]
        assert main(options) == 0, capsys.readouterr().err


@pytest.mark.parametrize("group", INNER)
def test_every_inner_command_is_looked_at(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*group.split(), "--help"]) == 0
    commands = capsys.readouterr().out.partition("Commands:\n")[2]
    assert set(re.findall(r"^  (\w+)", commands, re.MULTILINE)) == INNER[group]


def _examples(shown: str) -> list[str]:
    """What a reader copies: the line that begins so, and those that a backslash adds."""
    found: list[str] = []
    lines = iter(shown.splitlines())
    for line in lines:
        if line.startswith("  Example: "):
            whole = line.removeprefix("  Example: ")
            while whole.endswith("\\"):
                whole = whole.removesuffix("\\") + next(lines)
            assert next(lines) == "", "the example goes on, without a backslash"
            found.append(whole)
    return found
