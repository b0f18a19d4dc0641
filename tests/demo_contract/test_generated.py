"""The generated code of the tests' own contract is what the generator writes today."""

from __future__ import annotations

from pathlib import Path

from meshpact.contracts.generate import generate

HERE = Path(__file__).parent


def test_the_generated_code_of_the_demo_contract_is_fresh() -> None:
    stale = generate([HERE / "protos"], HERE / "generated", check_only=True).stale
    assert not stale, (
        "run: meshpact generate --protos tests/demo_contract/protos "
        "--out tests/demo_contract/generated"
    )
