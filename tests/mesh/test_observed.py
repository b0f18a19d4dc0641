"""A demand tried out on a running mesh: observed, audited, suggested, granted, enforced."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import upmesh
from upmesh import Up, meshpact, write_mesh

METHOD = "demo.v1.DemoService/Confess"
OBSERVED = upmesh.MESH + f"methods: {{{METHOD}: {{mode: observe}}}}\n"
GRANTED = upmesh.MESH.replace("{workloads: [caller]}", "{workloads: [caller, stranger]}", 1)
PATIENCE = 60.0


def confess(home: Path, identity: str) -> subprocess.CompletedProcess[str]:
    return meshpact(home, "call", METHOD, "-d", "{}", "--as", identity)


def in_time(done: Callable[[], bool]) -> bool:
    """Whether something comes true, asked again and again."""
    until = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > until:
            return False
    return True


def test_a_demand_is_tried_out_before_it_counts(tmp_path: Path) -> None:
    write_mesh(tmp_path)
    with Up(tmp_path) as up:
        up.ready()
        assert "ROLE_MISSING" in confess(tmp_path, "stranger").stderr
        (tmp_path / "mesh.yaml").write_text(OBSERVED)
        assert in_time(lambda: confess(tmp_path, "stranger").returncode == 0), "hot, no restart"
        explained = meshpact(
            tmp_path, "access", "explain", "--json", "--caller", "stranger", METHOD
        )
        assert json.loads(explained.stdout)["decision"] == "would_deny"

        def suggested() -> bool:
            done = meshpact(tmp_path, "access", "suggest", "--json", ".meshpact/audit/alpha.jsonl")
            roles = json.loads(done.stdout)["roles"]
            return bool(roles) and roles["demo.caller"]["workloads"] == ["stranger"]

        assert in_time(suggested)
        (tmp_path / "old.yaml").write_text(OBSERVED)
        (tmp_path / "mesh.yaml").write_text(GRANTED)
        changed = meshpact(tmp_path, "access", "diff", "--json", "old.yaml", "mesh.yaml")
        assert changed.returncode == 1, changed.stderr
        gains = {
            (each["change"], each["method"].rpartition("/")[2])
            for each in json.loads(changed.stdout)["changes"]
            if each["caller"]["name"] == "stranger"
        }
        assert {("gains", "Echo"), ("changes", "Confess")} <= gains
        echo = ("call", "demo.v1.DemoService/Echo", "-d", '{"text": "a"}', "--as", "stranger")
        assert in_time(lambda: meshpact(tmp_path, *echo).returncode == 0)
        assert up.end()[0] == 0
