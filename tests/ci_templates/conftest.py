"""A shop on a host of git, with a branch that changes its contract."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from ci_templates.hosts import Comments, Host, serving
from ci_templates.release import release
from review.reviews import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    top = tmp_path / "shop"
    top.mkdir()
    return Repository(top)


@pytest.fixture
def host(repository: Repository, tmp_path: Path) -> Host:
    """The shop after some commits, and a branch `change` that lets readers put."""
    (repository.top / "CODEOWNERS").write_text("/protos/ @shop/contracts\n")
    repository.commit("Own the contracts")
    for number in range(3):
        (repository.top / "README.md").write_text(f"A shop {number}.\n")
        repository.commit(f"Write {number}")
    host = Host(repository, tmp_path)
    repository.git("switch", "-q", "-c", "change")
    repository.replace('roles: "shop.writer"', 'roles: "shop.writer" roles: "shop.reader"')
    repository.commit("Let readers put")
    repository.git("switch", "-q", "main")
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    repository.commit("Be quicker")
    host.push("main")
    repository.git("switch", "-q", "change")
    return host


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a run keeps what is its own."""
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def comments() -> Generator[Comments]:
    with serving(Comments()) as found:
        yield found


@pytest.fixture(scope="session")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Meshpact as a repository that others install from."""
    return release(tmp_path_factory.mktemp("meshpact"))
