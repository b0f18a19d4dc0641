"""Runs what a template says, step by step, as the host would: the YAML itself is what is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from ci_templates.expressions import expand, holds

ROOT = Path(__file__).parents[2]
CI = ROOT / "deploy/ci"
BIN = Path(sys.executable).parent


@dataclass
class Ended:
    """How a run ended. `failed` is the step that ended it, "" for none; `log` is all it printed."""

    failed: str = ""
    outputs: dict[str, str] = field(default_factory=dict[str, str])
    summary: str = ""
    log: str = ""
    ran: list[str] = field(default_factory=list[str])


def template(path: str) -> dict[str, Any]:
    """A template below deploy/ci. `on:` stays a word."""
    return cast("dict[str, Any]", yaml.load((CI / path).read_text(), _Loader))


def environment(home: Path, **more: str) -> dict[str, str]:
    """A clean environment with Meshpact on the path."""
    return {
        "PATH": os.pathsep.join([str(BIN), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "LANG": "C.UTF-8",
        **more,
    }


def run_action(
    workspace: Path, inputs: Mapping[str, str], github: Mapping[str, str], home: Path
) -> Ended:
    """The composite action in a workspace. `github` is that context; its variables come of it."""
    action = template("github/action.yml")
    temp = home / "temp"
    temp.mkdir(exist_ok=True)
    context = {"action_path": str(CI / "github"), "token": "", **github}
    contexts: dict[str, Any] = {"github": context, "runner": {"temp": str(temp)}, "steps": {}}
    assert inputs.keys() <= action["inputs"].keys()
    contexts["inputs"] = {
        name: inputs.get(name, expand(str(about.get("default", "")), contexts))
        for name, about in action["inputs"].items()
    }
    shared = {f"GITHUB_{name.upper()}": value for name, value in github.items() if name != "token"}
    base = environment(home, CI="true", GITHUB_ACTIONS="true", RUNNER_TEMP=str(temp), **shared)
    ended = Ended()
    summary = home / "summary.md"
    for number, step in enumerate(action["runs"]["steps"]):
        if not holds(step.get("if", "always()"), contexts):
            continue
        files = {
            name: home / f"{name.lower()}-{number}" for name in ("GITHUB_OUTPUT", "GITHUB_PATH")
        }
        for path in files.values():
            path.touch()
        script = home / f"step-{number}.sh"
        assert step["shell"] == "bash"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=workspace / expand(step.get("working-directory", "."), contexts),
            env={
                **base,
                **{name: str(path) for name, path in files.items()},
                "GITHUB_STEP_SUMMARY": str(summary),
                **{name: expand(value, contexts) for name, value in step["env"].items()},
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        ended.ran.append(step["id"])
        ended.log += done.stdout
        lines = files["GITHUB_OUTPUT"].read_text().splitlines()
        contexts["steps"][step["id"]] = {"outputs": dict(line.split("=", 1) for line in lines)}
        for folder in files["GITHUB_PATH"].read_text().splitlines():
            base["PATH"] = f"{folder}{os.pathsep}{base['PATH']}"
        if done.returncode != 0:
            ended.failed = step["id"]
            break
    ended.outputs = {
        name: expand(about["value"], contexts) for name, about in action["outputs"].items()
    }
    ended.summary = summary.read_text() if summary.exists() else ""
    return ended


def run_job(name: str, workspace: Path, variables: Mapping[str, str], home: Path) -> Ended:
    """A job of the GitLab template in a workspace; its artifacts must be there afterwards."""
    jobs = template("gitlab/meshpact.gitlab-ci.yml")
    job = {**jobs[jobs[name].get("extends", name)], **jobs[name]}
    script = home / f"{name}.sh"
    script.write_text("\n".join(["set -eo pipefail", *job["before_script"], *job["script"], ""]))
    own = {key: str(value) for key, value in job["variables"].items()}  # win over all others
    given = {**jobs["variables"], **variables, **own}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", str(script)],
        cwd=workspace,
        env=environment(home, CI="true", GITLAB_CI="true", **given),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    failed = str(done.returncode) if done.returncode else ""
    if "artifacts" in job and failed != "2":
        for path in [*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()]:
            assert (workspace / path).exists(), (path, done.stdout)
    return Ended(failed, log=done.stdout, ran=[name])


class _Loader(yaml.SafeLoader):
    """YAML 1.2 as hosts of CI read it: `on` is a word, no truth value."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
