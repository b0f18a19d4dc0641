"""Code generated from contracts that no person wrote: it compiles, type-checks and answers calls.

MESHPACT_CONTRACTS=300 tries 300 contracts; 40 are the default, which is what CI takes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import contractfiles
import googlecontract
import typechecks
from contractstrategies import Contract, drawn
from meshpact.contracts.generate import generate

REPOSITORY = Path(__file__).parents[2]
COUNT = int(os.environ.get("MESHPACT_CONTRACTS", "40"))

pytestmark = pytest.mark.timeout(240 + 5 * COUNT)


@pytest.fixture(scope="module")
def everything() -> list[Contract]:
    """All contracts that are tried."""
    return drawn(COUNT)


@pytest.fixture(scope="module")
def generated(
    everything: list[Contract], golden_protos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What is generated from all of them, and from contracts that people wrote to be hard.

    One tree, because checkers of types read much before they begin.
    """
    folder = tmp_path_factory.mktemp("roundtrip")
    for contract in everything:
        contractfiles.write(folder / "protos", contract.files)
    googlecontract.write(folder / "protos")
    generate([folder / "protos", golden_protos], folder / "generated")
    (folder / "generated" / "use.py").write_text(googlecontract.USE)
    return folder / "generated"


HARD = {
    "proto2": r'^syntax = "proto2"',
    "edition 2023": r'^edition = "2023"',
    "edition 2024": r'^edition = "2024"',
    "no package": r"\A(?!.*^package )",
    "several services": r"^service .*^service ",
    "methods of one name in two services": r"rpc (\w+)\(.*^service .*rpc \1\(",
    "optional": r"^ +optional ",
    "oneof": r"^ +oneof ",
    "map": r"^ +map<",
    "a nested message": r"^ +message ",
    "a recursive message": r"^message (\w+) \{(?:(?!^\}).)*\.\1 \w+ = ",
    "extensions": r"^ +extensions ",
    "a keyword as a message": r"^message (?:C\d+_)?(?:from|class|None|True|import|lambda|def|is) ",
    "a keyword as a field": r" (?:from|class|None|True|import|lambda|def|is) = \d",
    "a keyword as a method": r"rpc (?:from|class|None|True|import|lambda|def|is)\(",
    "a stream each way": r"rpc \w+\(stream [^)]*\) returns \(stream ",
    "a type of Google's": r"google\.type\.Money",
}


@pytest.mark.parametrize("what", HARD)
def test_something_hard_is_among_the_contracts(what: str, everything: list[Contract]) -> None:
    texts = [text for contract in everything for text in contract.files.values()]
    hard = re.compile(HARD[what], re.MULTILINE | re.DOTALL)
    assert any(hard.search(text) for text in texts)


def test_every_method_of_every_contract_answers(
    everything: list[Contract], generated: Path
) -> None:
    modules = [contract.module for contract in everything]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "roundtrip"],
        input=json.dumps(modules),
        cwd=generated,
        env={**os.environ, "PYTHONPATH": f"{generated}:{REPOSITORY / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rpcs = sum(text.count("  rpc ") for contract in everything for text in contract.files.values())
    assert int(done.stdout) == 2 * rpcs
    assert len(everything) == COUNT


def test_mypy_finds_nothing_in_it(generated: Path, tmp_path: Path) -> None:
    typechecks.mypy(generated, tmp_path)


def test_pyright_finds_nothing_in_it(generated: Path) -> None:
    typechecks.pyright(generated)


def test_ruff_finds_nothing_in_it_and_would_lay_it_out_the_same(generated: Path) -> None:
    typechecks.ruff(generated)
