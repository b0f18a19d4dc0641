"""The page that leads from an empty folder to a service of one's own, walked as it is written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from upmesh import Up, meshpact

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    found = BLOCK.findall((PAGES / page).read_text())
    return [body for name, body in found if name == language]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has written after the sixth step."""
    home = tmp_path_factory.mktemp("project")
    (contract,) = blocks("write-a-contract.md", "proto")
    handler, plugins, tests = blocks("start-a-project.md", "python")
    (mesh,) = blocks("start-a-project.md", "yaml")
    (settings,) = blocks("start-a-project.md", "toml")
    for path, text in {
        "protos/acme/greetings/v1/greetings.proto": contract,
        "greetings.py": handler,
        "mesh.yaml": mesh,
        "pyproject.toml": settings,
        "conftest.py": plugins,
        "tests/test_greetings.py": tests,
    }.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    assert meshpact(home, "lint", "--mesh", "mesh.yaml").stdout == "1 contract, nothing found\n"
    # Twice: what the first run has loaded is known as unchanged by the second, which keeps a cache.
    for _ in range(2):
        assert meshpact(home, "generate").returncode == 0
    return home


def test_it_runs_and_answers_as_the_page_shows(project: Path) -> None:
    shown = "".join(blocks("start-a-project.md", ""))
    asked = [line[2:] for line in shown.splitlines() if line.startswith("$ meshpact call")]
    with Up(project).ready():
        said = [meshpact(project, *shlex.split(line)[1:]).stdout for line in asked]
    assert len(asked) == 2
    for line, answer in zip(asked, said, strict=True):
        assert f"$ {line}\n{answer}" in shown


def test_its_tests_pass(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_its_contract_is_published_as_the_page_about_that_shows(project: Path) -> None:
    shown = "".join(blocks("publish-contract-docs.md", ""))
    asked = [line[2:] for line in shown.splitlines() if line.startswith("$ meshpact docs")]
    assert len(asked) == 2
    for line in asked:
        done = meshpact(project, *shlex.split(line)[1:])
        assert done.returncode == 0, done.stderr
        assert f"$ {line}\n{done.stdout}" in shown


def test_a_change_is_reviewed_as_the_page_shows(project: Path) -> None:
    (contract,) = blocks("write-a-contract.md", "proto")
    before = project / "before" / "acme/greetings/v1/greetings.proto"
    before.parent.mkdir(parents=True)
    before.write_text(contract)
    path = project / "protos/acme/greetings/v1/greetings.proto"
    path.write_text(contract.replace("max: { seconds: 2 }", "max: { seconds: 1 }"))
    done = meshpact(project, "review", "--against", "before", "--mesh", "mesh.yaml")
    path.write_text(contract)
    assert done.returncode == 1, done.stderr
    shown = "".join(blocks("start-a-project.md", ""))
    (table,) = re.findall(r"(### Contract review.*?)\n\.\.\.", shown, re.DOTALL)
    assert table in done.stdout
