"""`meshpact serve`: one service, by hand, without a supervisor."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from upmesh import environment, meshpact, write_mesh


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
