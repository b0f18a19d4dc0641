"""`meshpact certs rotate`, `certs doctor` and passphrases as a person uses them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import forgedcerts as forged
from certsshell import Shell, new_shell
from meshpact.certs import keys
from meshpact.certs.passphrase import VARIABLE

SECRET = "a horse, a battery"


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.delenv(VARIABLE, raising=False)
    return new_shell(tmp_path, capsys, monkeypatch)


@pytest.fixture
def ready(shell: Shell) -> Shell:
    assert shell("certs", "init", "--trust-domain", "acme.example").code == 0
    assert shell("certs", "issue", "inventory").code == 0
    return shell


@pytest.fixture
def secret_file(shell: Shell) -> Path:
    path = shell.root / "passphrase"
    path.touch(0o600)
    path.write_text(SECRET + "\n")
    return path


def test_a_rotation_from_one_end_to_the_other(ready: Shell) -> None:
    status = ready("certs", "rotate", "status")
    assert (status.code, status.err) == (0, "")
    assert "No rotation is under way" in status.out

    prepared = ready("certs", "rotate", "prepare")
    assert prepared.code == 0
    assert "is in the trust bundle" in prepared.out
    refused = ready("certs", "rotate", "activate")
    assert refused.code == 1
    assert "spiffe://acme.example/inventory: may not have read" in refused.err
    assert "Traceback" not in refused.err

    activated = ready("certs", "rotate", "activate", "--settle", "0s")
    assert activated.code == 0
    assert "meshpact certs issue SERVICE" in activated.out
    refused = ready("certs", "rotate", "retire", "--settle", "0s", "--json")
    assert refused.code == 1
    told = json.loads(refused.out)
    assert told["refused"] == "cut-off"
    assert [each["who"] for each in told["blockers"]] == ["spiffe://acme.example/inventory"]

    assert ready("certs", "issue", "inventory").code == 0
    retired = ready("certs", "rotate", "retire", "--settle", "0s", "--json")
    assert retired.code == 0
    assert json.loads(retired.out)["phase"] == "steady"
    assert ready("certs", "doctor").code == 0
    bundle = ready("certs", "show", ".meshpact/trust/acme.example.pem", "--json")
    assert len(json.loads(bundle.out)) == 1


def test_retire_waits_for_connections_of_workloads_that_no_mesh_runs(ready: Shell) -> None:
    ready("certs", "rotate", "prepare")
    ready("certs", "rotate", "activate", "--settle", "0s")
    ready("certs", "issue", "inventory")
    assert ready("certs", "rotate", "retire", "--settle", "10s").code == 1
    refused = ready("certs", "rotate", "retire", "--json")
    (blocker,) = json.loads(refused.out)["blockers"]
    now = datetime.now(UTC)
    assert timedelta(minutes=10) < datetime.fromisoformat(blocker["until"]) - now
    assert ready("certs", "rotate", "retire", "--settle", "0s").code == 0


def test_a_step_out_of_order_is_wrong_use(ready: Shell) -> None:
    done = ready("certs", "rotate", "retire", "--force")
    assert done.code == 2
    assert "Next: meshpact certs rotate prepare" in done.err
    as_json = ready("certs", "rotate", "activate", "--json")
    assert (as_json.code, json.loads(as_json.out)["refused"]) == (2, "order")


def test_a_forced_step_is_taken_at_once(ready: Shell) -> None:
    ready("certs", "rotate", "prepare")
    done = ready("certs", "rotate", "activate", "--force")
    assert done.code == 0
    assert "may cut off:\n  spiffe://acme.example/inventory: may not have read" in done.err
    assert ready("certs", "rotate", "retire", "--force").code == 0


def test_a_step_that_is_waited_for_says_for_whom(ready: Shell) -> None:
    ready("certs", "rotate", "prepare")
    done = ready("certs", "rotate", "activate", "--settle", "1s", "--wait", "30s")
    assert done.code == 0
    ready("certs", "rotate", "retire", "--settle", "0s")
    waited = ready("certs", "rotate", "retire", "--settle", "0s", "--wait", "10ms")
    assert waited.code == 1
    assert "waiting for at most 10ms: spiffe://acme.example/inventory" in waited.err


def test_a_further_bundle_holds_the_step_up(ready: Shell) -> None:
    copy = ready.root / "copy.pem"
    copy.write_bytes((ready.state / "trust/acme.example.pem").read_bytes())
    ready("certs", "rotate", "prepare")
    done = ready("certs", "rotate", "activate", "--settle", "0s", "--bundle", copy)
    assert done.code == 1
    assert "copy.pem lacks the new root" in done.err


@pytest.mark.parametrize("command", ["status", "prepare", "activate", "retire"])
def test_each_step_has_help_with_an_example(shell: Shell, command: str) -> None:
    done = shell("certs", "rotate", command, "--help")
    assert done.code == 0
    assert f"Example: meshpact certs rotate {command}" in done.out


def test_a_length_of_time_that_is_none_is_wrong_use(ready: Shell) -> None:
    done = ready("certs", "rotate", "activate", "--wait", "soon")
    assert (done.code, done.out) == (2, "")
    assert "500ms, 30s, 5m, 12h" in " ".join(done.err.split())


def test_without_a_ca_there_is_nothing_to_rotate(shell: Shell) -> None:
    done = shell("certs", "rotate", "prepare")
    assert done.code == 1
    assert "meshpact certs init --trust-domain" in done.err


def test_the_doctor_says_each_fault_with_its_remedy_and_ends_with_1(ready: Shell) -> None:
    assert ready("certs", "doctor").out == ".meshpact: no faults found.\n"
    (ready.state / "identities/inventory/key.pem").chmod(0o644)
    done = ready("certs", "doctor")
    assert done.code == 1
    assert "(permissions)" in done.out
    assert "remedy: chmod 600" in done.out
    assert "1 fault found." in done.out
    as_json = ready("certs", "doctor", "--json")
    assert as_json.code == 1
    assert [each["rule"] for each in json.loads(as_json.out)] == ["permissions"]


def test_the_doctor_looks_at_given_files_with_a_given_bundle(ready: Shell) -> None:
    root = forged.root("other.example")
    leaf = forged.leaf(
        root, uris=["spiffe://other.example/inventory"], dns=["inventory.other.example"]
    )
    (ready.root / "leaf.pem").write_bytes(forged.pem(leaf))
    (ready.root / "root.pem").write_bytes(forged.pem(root.certificate))
    assert ready("certs", "doctor", "leaf.pem").code == 1
    assert ready("certs", "doctor", "leaf.pem", "--trust", "root.pem").code == 0
    assert ready("certs", "doctor", "leaf.pem", "--trust", "nothing.pem").code == 2


def test_the_help_of_the_doctor_has_an_example(shell: Shell) -> None:
    assert "Example: meshpact certs doctor" in shell("certs", "doctor", "--help").out


def test_the_kinds_of_keys_can_be_chosen(shell: Shell) -> None:
    done = shell("certs", "init", "--trust-domain", "acme.example", "--key-type", "ec-p384")
    assert done.code == 0
    issued = shell("certs", "issue", "inventory", "--key-type", "rsa-2048", "--json")
    assert json.loads(issued.out)["key"] == "RSA 2048"
    root = json.loads(shell("certs", "show", ".meshpact/trust/acme.example.pem", "--json").out)
    assert root[0]["key"] == "EC secp384r1"
    odd = shell("certs", "init", "--trust-domain", "acme.example", "--key-type", "dsa")
    assert odd.code == 2
    assert "ec-p256" in odd.err


def test_a_passphrase_in_a_file_encrypts_and_opens_the_keys(
    shell: Shell, secret_file: Path
) -> None:
    init = ("certs", "init", "--trust-domain", "acme.example")
    assert shell(*init, "--passphrase-file", secret_file).code == 0
    key = (shell.state / "ca/1/intermediate.key.pem").read_bytes()
    assert keys.is_encrypted(key)
    keys.decode(key, SECRET.encode())
    refused = shell("certs", "issue", "inventory")
    assert refused.code == 1
    assert "--passphrase-file" in refused.err
    given = ("--passphrase-file", secret_file)
    assert shell("certs", "issue", "inventory", *given).code == 0
    assert shell("certs", "doctor", *given).code == 0
    assert shell("certs", "rotate", "prepare", *given).code == 0
    assert keys.is_encrypted((shell.state / "ca/2/root.key.pem").read_bytes())


def test_what_only_a_new_ca_can_be_is_not_passed_over_in_silence(
    ready: Shell, secret_file: Path
) -> None:
    init = ("certs", "init", "--trust-domain", "acme.example")
    refused = ready(*init, "--passphrase-file", secret_file)
    assert refused.code == 2
    assert "rotate prepare --passphrase-file" in " ".join(refused.err.split())
    noted = ready(*init, "--key-type", "rsa-2048")
    assert noted.code == 0
    assert "rotate prepare --key-type rsa-2048" in noted.err


def test_the_environment_may_name_the_file(
    shell: Shell, secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(secret_file))
    assert shell("certs", "init", "--trust-domain", "acme.example").code == 0
    assert shell("certs", "issue", "inventory").code == 0


def test_a_passphrase_that_others_can_read_is_refused(shell: Shell, secret_file: Path) -> None:
    secret_file.chmod(0o644)
    done = shell(
        "certs", "init", "--trust-domain", "acme.example", "--passphrase-file", secret_file
    )
    assert done.code == 1
    assert "chmod 600" in done.err
    assert SECRET not in done.err


def test_encrypting_without_a_file_or_a_terminal_is_wrong_use(shell: Shell) -> None:
    done = subprocess.run(
        [*MESHPACT, "certs", "init", "--trust-domain", "acme.example", "--encrypt"],
        cwd=shell.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no terminal to ask at" in " ".join(done.stderr.split())
    assert not (shell.state / "ca").exists()


MESHPACT = (sys.executable, "-m", "meshpact.cli")


def at_terminal(folder: Path, *words: str, answers: list[str]) -> tuple[int, str]:
    """The exit code and the screen of a command that asks its questions at a terminal."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*MESHPACT, *words],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    screen = b""
    left = list(answers)
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        while select.select([terminal], [], [], 60)[0]:
            try:
                read = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            screen += read
            if left and screen.endswith(b": "):  # the space comes once nothing is shown any more
                os.write(ours, left.pop(0).encode() + b"\n")
    return process.wait(60), screen.decode()


def test_a_passphrase_is_asked_for_at_a_terminal_and_never_shown(shell: Shell) -> None:
    init = ("certs", "init", "--trust-domain", "acme.example", "--encrypt")
    code, screen = at_terminal(shell.root, *init, answers=[SECRET, SECRET])
    assert code == 0, screen
    assert SECRET not in screen
    key = (shell.state / "ca/1/root.key.pem").read_bytes()
    keys.decode(key, SECRET.encode())
    code, screen = at_terminal(shell.root, "certs", "issue", "inventory", answers=[SECRET])
    assert code == 0, screen
    assert SECRET not in screen
    code, screen = at_terminal(shell.root, "certs", "issue", "inventory", answers=["wrong"])
    assert code == 1
    assert "the passphrase is wrong" in screen
