"""What the templates must be whatever they run: as their hosts' schemas have them, pinned, with the
least permissions, and without a value of a change in a command."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_templates.expressions import evaluate, expand, holds
from ci_templates.runner import BIN, CI, ROOT, template

SCHEMAS = {
    "github/action.yml": "vendor.github-actions",
    "github/workflow.yml": "vendor.github-workflows",
    "gitlab/meshpact.gitlab-ci.yml": "vendor.gitlab-ci",
}
SCRIPTS = sorted(CI.glob("*.sh"))


@pytest.mark.parametrize(("path", "schema"), SCHEMAS.items())
def test_a_template_is_as_its_hosts_schema_has_it(path: str, schema: str) -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", schema, str(CI / path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _steps() -> Iterator[dict[str, Any]]:
    yield from template("github/action.yml")["runs"]["steps"]
    for job in template("github/workflow.yml")["jobs"].values():
        yield from job["steps"]


def test_no_expression_is_part_of_a_command() -> None:
    assert [step["run"] for step in _steps() if "${{" in step.get("run", "")] == []


def test_what_a_change_names_is_in_no_expression() -> None:
    texts = [(CI / path).read_text() for path in SCHEMAS]
    for name in ("head_ref", "head.ref", "title", ".body", "CI_MERGE_REQUEST_SOURCE", "CI_COMMIT_"):
        assert [text for text in texts if name in text] == [], name


def test_foreign_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for step in _steps() if "uses" in step]
    assert len(used) > 3
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each)] == []


def test_the_workflow_asks_for_the_least() -> None:
    workflow = template("github/workflow.yml")
    assert set(workflow["on"]) == {"pull_request"}, "never pull_request_target"
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {
            "contents": "read",
            "pull-requests": "write",
            "security-events": "write",
        }
        assert int(job["timeout-minutes"]) <= 15
    checkout = next(step for step in _steps() if "actions/checkout" in step.get("uses", ""))
    assert checkout["with"]["persist-credentials"] == "false"


def test_the_workflow_gives_the_action_only_inputs_it_has() -> None:
    inputs = template("github/action.yml")["inputs"]
    outputs = template("github/action.yml")["outputs"]
    text = (CI / "github/workflow.yml").read_text()
    (step,) = [step for step in _steps() if "/deploy/ci/github@" in step.get("uses", "")]
    assert step["with"].keys() <= inputs.keys()
    assert set(re.findall(r"steps\.review\.outputs\.([\w-]+)", text)) <= outputs.keys()


def test_the_package_is_pinned_to_this_version() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    wanted = f"meshpact[contracts]=={version[1]}"
    assert template("github/action.yml")["inputs"]["package"]["default"] == wanted
    assert template("gitlab/meshpact.gitlab-ci.yml")["variables"]["MESHPACT_PACKAGE"] == wanted


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound_in_any_shell_and_stops_at_a_failure(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert "eval" not in text
    assert _shellcheck(text, "sh") == ""


def test_commands_in_templates_are_sound() -> None:
    for step in _steps():
        if "run" in step:
            assert _shellcheck(step["run"], "bash") == ""
    for name, job in template("gitlab/meshpact.gitlab-ci.yml").items():
        if name == "variables":
            continue
        lines = [*job.get("before_script", ()), *job.get("script", ())]
        assert _shellcheck("\n".join([*lines, ""]), "bash") == "", name


def _shellcheck(text: str, shell: str) -> str:
    """What ShellCheck says of a script, unquoted variables first among it."""
    done = subprocess.run(
        [str(BIN / "shellcheck"), f"--shell={shell}", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_expressions_of_actions_are_evaluated_as_github_does() -> None:
    contexts = {"inputs": {"a": "true"}, "steps": {"one": {"outputs": {"x": "1"}}}, "github": {}}
    assert holds("${{ inputs.a == 'true' && steps.one.outputs.x != '' }}", contexts)
    assert not holds("inputs.a == 'false' || !(steps.one.outputs.x == '1')", contexts)
    assert expand("<${{ steps.two.outputs.x }}${{ steps.one.outputs.x }}>", contexts) == "<1>"
    for wrong in ("secrets.a", "inputs.a +", "inputs.a inputs.a", "fromJSON('1')"):
        with pytest.raises((KeyError, ValueError)):
            evaluate(wrong, contexts)
