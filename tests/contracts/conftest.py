"""The golden contracts, generated once for all tests that read what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshpact.contracts.generate import generate


@pytest.fixture(scope="session")
def golden_protos() -> Path:
    """The folder of contracts with everything that is hard to generate."""
    return Path(__file__).parent / "golden" / "protos"


@pytest.fixture(scope="session")
def golden(golden_protos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with everything that is generated from them."""
    out = tmp_path_factory.mktemp("golden")
    generate([golden_protos], out)
    return out
