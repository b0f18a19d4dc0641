"""The hooks for pre-commit, run by pre-commit itself from this repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from ci_templates.release import OFFLINE
from ci_templates.runner import BIN, ROOT, environment
from review.reviews import Repository

HOOKS = ROOT / ".pre-commit-hooks.yaml"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pre-commit keeps what it installed."""
    return tmp_path_factory.mktemp("pre-commit")


class Shop:
    """A repository that uses the hooks."""

    def __init__(self, repository: Repository, hooks: Path, cache: Path, home: Path) -> None:
        self.repository = repository
        config = {
            "repos": [
                {
                    "repo": str(hooks),
                    "rev": "v1",
                    "hooks": [
                        {"id": "meshpact-lint"},
                        {"id": "meshpact-generate"},
                        {"id": "meshpact-review", "args": ["--against=main", "--format=text"]},
                    ],
                }
            ]
        }
        (repository.top / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
        repository.commit("Use hooks")
        self._environment = environment(home, PRE_COMMIT_HOME=str(cache), **OFFLINE)

    def run(self, hook: str, *options: str) -> tuple[int, str]:
        """One hook on all files: how it ended and what it said."""
        done = subprocess.run(
            [str(BIN / "pre-commit"), "run", hook, "--all-files", "--color=never", *options],
            cwd=self.repository.top,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def shop(repository: Repository, hooks: Path, cache: Path, home: Path) -> Shop:
    return Shop(repository, hooks, cache, home)


def test_the_manifest_is_one_of_pre_commit() -> None:
    command = [str(BIN / "pre-commit"), "validate-manifest", str(HOOKS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_lint_finds_what_is_wrong_with_a_contract(shop: Shop) -> None:
    code, said = shop.run("meshpact-lint")
    assert code == 1, said
    assert "protos/shop/v1/shop.proto:" in said
    shop.repository.git("rm", "-q", "-r", "protos", "mesh.yaml")
    code, said = shop.run("meshpact-lint")
    assert (code, "(no files to check)" in said) == (0, True), said


def test_generated_code_must_be_fresh(shop: Shop) -> None:
    code, said = shop.run("meshpact-generate")
    assert (code, "shop_mesh.py is out of date" in said) == (1, True), said
    subprocess.run([str(BIN / "meshpact"), "generate"], cwd=shop.repository.top, check=True)
    shop.repository.git("add", "generated")
    code, said = shop.run("meshpact-generate")
    assert (code, "Passed" in said) == (0, True), said


def test_a_push_is_reviewed(shop: Shop) -> None:
    stage = "--hook-stage=pre-push"
    code, said = shop.run("meshpact-review", stage)
    assert (code, "nothing to approve" in said) == (0, True), said
    shop.repository.git("switch", "-q", "-c", "change")
    shop.repository.replace('roles: "shop.writer"', 'roles: "shop.writer" roles: "shop.reader"')
    shop.repository.commit("Let readers put")
    code, said = shop.run("meshpact-review", stage)
    assert (code, "needs approval: 1 finding widens access" in said) == (1, True), said
    code, said = shop.run("meshpact-review")
    assert code == 1, "a commit alone runs no review"
    assert "No hook with id" in said


def test_hooks_can_be_tried_without_a_configuration(
    repository: Repository, hooks: Path, cache: Path, home: Path
) -> None:
    done = subprocess.run(
        [str(BIN / "pre-commit"), "try-repo", str(hooks), "meshpact-lint", "--all-files"],
        cwd=repository.top,
        env=environment(home, PRE_COMMIT_HOME=str(cache), **OFFLINE),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "protos/shop/v1/shop.proto:" in done.stdout
