"""The command line before any command: help, version, and what a person sees when things fail."""

import subprocess
import sys
from pathlib import Path

import pytest

from meshpact.cli import COMMANDS, failures, main
from meshpact.clients.dynamic.errors import UseError
from meshpact.mesh.state import StateLocked
from upmesh import meshpact

HEAVY = ("grpc", "google.protobuf", "cryptography", "rich", "httpx", "msgspec", "yaml", "asyncio")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from meshpact.cli import main\n"
        "assert main(['--help']) == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "certs init", "certs issue"])
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--help"]) == 0
    assert f"Example: meshpact {command.split()[0]}" in capsys.readouterr().out


@pytest.mark.parametrize("group", ["certs", "certs rotate", "access", "audit"])
def test_lists_of_commands_say_what_each_does_in_whole_sentences(
    group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*group.split(), "--help"]) == 0
    shown = capsys.readouterr().out.partition("Commands:")[2]
    assert shown.count(".\n") >= 2
    assert "..." not in shown


def test_the_version_is_the_installed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("meshpact 0.")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--nonsense"], ["call"], ["up", "--for", "x"]]
)
def test_wrong_use_has_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UseError("no such service"), 2),
        (StateLocked(Path("state"), 7, ""), 2),
        (FileNotFoundError(2, "No such file or directory", "mesh.yaml"), 2),
        (OSError(28, "No space left on device"), 2),
    ],
)
def test_an_error_of_ours_is_one_line(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failures.report(error) == code
    assert capsys.readouterr().err.startswith("meshpact: ")


def test_what_an_error_quotes_gives_no_orders_to_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures.report(UseError("no \x1b[2J\r\u202e\udcff\tin a\nmesh: Übung"))
    said = capsys.readouterr().err
    assert said == "meshpact: no \\x1b[2J\\r\\u202e\\udcff\tin a\nmesh: Übung\n"


def test_a_crash_says_where_its_traceback_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".meshpact" / "logs").mkdir(parents=True)
    assert failures.report(ZeroDivisionError("by nought")) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert ".meshpact/logs/crash.log" in said
    assert "by nought" in (tmp_path / ".meshpact" / "logs" / "crash.log").read_text()


def test_a_crash_outside_a_mesh_is_logged_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert failures.report(ZeroDivisionError("by nought")) == 2
    (log,) = tmp_path.glob("meshpact-crash-*.log")
    assert str(log) in capsys.readouterr().err


def test_a_crash_that_cannot_be_logged_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert failures.report(ZeroDivisionError("by nought")) == 2
    assert capsys.readouterr().err == (
        "meshpact: this should not have happened: ZeroDivisionError. "
        "MESHPACT_DEBUG=1 shows what led to it.\n"
    )


def test_a_crash_shows_itself_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MESHPACT_DEBUG", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failures.report(ZeroDivisionError("by nought"))
    assert "ZeroDivisionError: by nought" in capsys.readouterr().err


def test_the_module_runs_as_the_command_does(tmp_path: Path) -> None:
    done = meshpact(tmp_path, "--version")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_is_quiet_from_the_beginning(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from meshpact.cli import main

def hook(event, arguments):
    if event == "import" and arguments[0] == "meshpact.contracts":
        signal.raise_signal(signal.SIGINT)
sys.addaudithook(hook)
sys.exit(main(["docs"]))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
