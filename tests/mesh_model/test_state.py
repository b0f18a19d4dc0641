"""The state directory: one mesh at a time, private, readable after a crash."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meshpact.certs.ca import CaError
from meshpact.certs.issuer import Issuer
from meshpact.certs.spiffe import TrustDomain
from meshpact.mesh.config import load
from meshpact.mesh.local import issuer_of, prepare
from meshpact.mesh.state import RunningMesh, RunningService, State, StateError, StateLocked

MESH = RunningMesh(
    services={"inventory": [RunningService(address="127.0.0.1:7001", pid=42, health_port=8001)]},
    mesh_file="/srv/mesh.yaml",
    pid=41,
)

HOLD = """
import sys
from meshpact.mesh.state import State
with State(sys.argv[1]).lock("127.0.0.1:7001"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / ".meshpact")


def test_the_layout_is_the_documented_one(state: State) -> None:
    inside = {
        "ca": state.ca,
        "trust": state.trust,
        "identities/inventory": state.identity("inventory"),
        "issuers/local": state.issuer,
        "mesh.json": state.mesh_file,
        "logs": state.logs,
        "audit": state.audit,
        "lock": state.lock_file,
    }
    assert {name: path.relative_to(state.root).as_posix() for name, path in inside.items()} == {
        name: name for name in inside
    }
    assert not state.root.exists(), "to name a path makes nothing"


def test_the_directory_is_private_and_keeps_itself_out_of_git(state: State) -> None:
    state.create()
    state.create()
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700
    assert (state.root / ".gitignore").read_text() == "*\n"


def test_a_root_that_cannot_be_a_directory_is_met_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="--state DIRECTORY"):
        State(tmp_path / "file").create()


def test_a_directory_of_something_else_is_not_closed_to_others(tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.mkdir(mode=0o755)
    (public / "file").touch()
    with pytest.raises(StateError, match="holds other things"):
        State(public).create()
    assert stat.S_IMODE(public.stat().st_mode) == 0o755
    (public / "file").unlink()
    State(public).create()
    assert stat.S_IMODE(public.stat().st_mode) == 0o700
    public.chmod(0o755)
    (public / "cache").mkdir()
    State(public).create()
    assert stat.S_IMODE(public.stat().st_mode) == 0o700, "generate may have been here first"
    public.chmod(0o755)
    (public / "ca").mkdir()
    State(public).create()
    assert stat.S_IMODE(public.stat().st_mode) == 0o700, "our own directory is closed again"


def test_a_second_mesh_is_refused_with_the_first_ones_process_and_address(state: State) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateLocked) as refusal, state.lock():
            pass
        assert (refusal.value.pid, refusal.value.address) == (holder.pid, "127.0.0.1:7001")
        for part in (str(holder.pid), "127.0.0.1:7001", "--state"):
            assert part in str(refusal.value)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with state.lock():
            pass


def test_the_lock_names_what_was_announced_and_ends_with_its_block(state: State) -> None:
    with state.lock() as lock:
        lock.announce("127.0.0.1:9999")
        with pytest.raises(StateLocked, match=r"127\.0\.0\.1:9999") as refusal, state.lock():
            pass
        assert refusal.value.pid == os.getpid()
    with state.lock("again"):
        pass
    assert stat.S_IMODE(state.lock_file.stat().st_mode) == 0o600


def test_a_lock_whose_holder_said_nothing_is_still_respected(state: State) -> None:
    with state.lock():
        state.lock_file.write_bytes(b"{half")
        with pytest.raises(StateLocked, match="another process") as refusal, state.lock():
            pass
        assert refusal.value.pid == 0


def test_what_runs_is_read_as_it_was_written(state: State) -> None:
    state.create()
    assert state.read_running() is None
    state.write_running(MESH)
    assert state.read_running() == MESH
    assert json.loads(state.mesh_file.read_text())["services"]["inventory"][0]["pid"] == 42
    assert stat.S_IMODE(state.mesh_file.stat().st_mode) == 0o600
    state.clear_running()
    state.clear_running()
    assert state.read_running() is None


@pytest.mark.parametrize("text", ["", '{"services": {"a": [{"addr', "[]", '{"services": 1}', "\0"])
def test_a_half_written_mesh_json_is_met_with_advice(state: State, text: str) -> None:
    state.create()
    state.mesh_file.write_text(text)
    with pytest.raises(StateError, match=r"mesh\.json is damaged .*remove it"):
        state.read_running()


def test_prepare_makes_what_is_missing_and_keeps_what_is_there(state: State) -> None:
    domain = TrustDomain("acme.example")
    ca = prepare(state, domain)
    before = {path: path.read_bytes() for path in state.root.rglob("*") if path.is_file()}
    assert prepare(state, domain).bundle == ca.bundle
    assert {path: path.read_bytes() for path in before} == before
    bundle = state.trust / "acme.example.pem"
    bundle.write_bytes(b"half")
    prepare(state, domain)
    assert bundle.read_bytes() == ca.bundle.pem
    with pytest.raises(CaError, match=r"other\.example"):
        prepare(state, TrustDomain("other.example"))


def test_the_local_issuer_is_found_in_mesh_yaml_by_its_keys(tmp_path: Path, state: State) -> None:
    Issuer.init(state.issuer)
    file = tmp_path / "mesh.yaml"
    head = "trust_domain: acme.example\nissuers:\n  - {issuer: https://a.example, audiences: [b], "
    file.write_text(f"{head} file: .meshpact/issuers/local/jwks.json}}\n")
    found = issuer_of(load(file), state)
    assert found is not None
    assert found.issuer == "https://a.example"
    file.write_text(f"{head} file: other.json}}\n")
    assert issuer_of(load(file), state) is None
