"""`meshpact serve`: one service, by hand, without a supervisor."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from meshpact.interceptors.metrics import METRIC
from upmesh import MESH, Up, environment, meshpact, write_mesh

DEMO = "demo.v1.DemoService"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A mesh whose identities have been issued by hand."""
    write_mesh(tmp_path)
    assert meshpact(tmp_path, "certs", "init", "--trust-domain", "demo.example").returncode == 0
    assert meshpact(tmp_path, "certs", "issue", "alpha").returncode == 0
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_serves_and_drains_on_a_signal(home: Path, number: int) -> None:
    command = [sys.executable, "-m", "meshpact.cli", "serve", "--service", "alpha"]
    with subprocess.Popen(
        command,
        cwd=home,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert facts["service"] == "alpha"
        assert facts["serves"] == ["demo.v1.DemoService"]
        assert facts["address"].startswith("127.0.0.1:")
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("service", "words", "code"),
    [
        ("nobody", "there is no service 'nobody'. It has: alpha, caller, stranger", 2),
        ("caller", "services.caller.factory is missing", 2),
    ],
)
def test_what_cannot_be_served_is_explained(
    home: Path, service: str, words: str, code: int
) -> None:
    refused = meshpact(home, "serve", "--service", service)
    assert (refused.returncode, refused.stdout) == (code, "")
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_missing_identity_says_how_to_issue_it(tmp_path: Path) -> None:
    write_mesh(tmp_path)
    assert meshpact(tmp_path, "certs", "init", "--trust-domain", "demo.example").returncode == 0
    refused = meshpact(tmp_path, "serve", "--service", "alpha")
    assert refused.returncode == 1
    assert "meshpact certs issue" in refused.stderr


def test_metrics_are_served_where_mesh_yaml_says(tmp_path: Path) -> None:
    write_mesh(tmp_path, MESH + '\ntelemetry:\n  metrics_address: "127.0.0.1:0"\n')
    with Up(tmp_path) as up:
        up.ready()
        running = up.state.read_running()
        assert running is not None
        alpha = running.services["alpha"][0]
        called = meshpact(tmp_path, "call", f"{DEMO}/Echo", "-d", '{"text": "x"}', "--as", "caller")
        assert called.returncode == 0, called.stderr
        with urllib.request.urlopen(f"http://{alpha.metrics}/metrics", timeout=10) as answer:
            page = answer.read().decode()
    labels = f'rpc_method="{DEMO}/Echo",rpc_response_status_code="OK",rpc_system_name="grpc"'
    assert f"# TYPE {METRIC} histogram" in page
    assert f"{METRIC}_count{{{labels}}} 1.0" in page


def test_a_metrics_address_that_is_taken_is_named(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        address = f"127.0.0.1:{other.getsockname()[1]}"
        write_mesh(home, MESH + f'\ntelemetry:\n  metrics_address: "{address}"\n')
        refused = meshpact(home, "serve", "--service", "alpha")
    assert refused.returncode != 0
    assert f"{address}, where the metrics page is to listen, is taken" in refused.stderr
    assert "Traceback" not in refused.stderr
