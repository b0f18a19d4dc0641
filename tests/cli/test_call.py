"""`meshpact call` against a running mesh: answers, refusals, wrong use, and grpcurl's line."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from meshpact.cli import main
from meshpact.clients.dynamic.aip193 import STATUS_DETAILS, error_object
from meshpact.clients.dynamic.contracts import Contracts
from meshpact.clients.dynamic.errors import UseError
from meshpact.clients.dynamic.target import RunningState
from meshpact.mesh.config import load
from meshpact.mesh.state import State
from upmesh import MESH, Up, meshpact, write_mesh

DEMO = "demo.v1.DemoService"
AS_CALLER = ("--as", "caller")


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a running mesh of one service."""
    folder = tmp_path_factory.mktemp("mesh")
    write_mesh(folder)
    with Up(folder) as up:
        up.ready()
        yield folder


@pytest.fixture
def home(mesh: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, and it is where we stand."""
    monkeypatch.chdir(mesh)
    return mesh


@pytest.fixture
def call(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`meshpact call`, in this process."""

    def run(*arguments: str, data: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(data))
        code = main(["call", *arguments])
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


def test_the_command_is_what_a_shell_runs(home: Path) -> None:
    done = meshpact(home, "call", f"{DEMO}/Echo", "-d", '{"text": "grüße"}', *AS_CALLER)
    assert (done.returncode, done.stdout) == (0, '{\n  "text": "grüße"\n}\n'), done.stderr
    assert done.stderr == ""


def answers(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_unary_call_prints_the_response(call: Run) -> None:
    done = call(f"{DEMO}/Echo", "-d", '{"text": "grüße"}', *AS_CALLER)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"text": "grüße"}), done.stderr


def test_a_stream_prints_a_response_a_line(call: Run) -> None:
    done = call(f"{DEMO}/Count", "-d", '{"to": 3}', *AS_CALLER)
    assert done.returncode == 0, done.stderr
    assert answers(done.stdout) == [{"number": 1}, {"number": 2}, {"number": 3}]


def test_a_client_stream_takes_several_messages(call: Run) -> None:
    data = '{"number": 3} {"number": 4}'
    done = call(f"{DEMO}/Sum", "-d", data, *AS_CALLER)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["count"] == 2


@pytest.mark.parametrize("stdin", ["@-", "@"])
def test_a_stream_each_way_reads_stdin(call: Run, stdin: str) -> None:
    data = '{"text": "a"}\n{"text":\n "b"}{"text": "c"}'
    done = call(f"{DEMO}/Chat", "-d", stdin, *AS_CALLER, data=data)
    assert done.returncode == 0, done.stderr
    assert answers(done.stdout) == [{"text": "a"}, {"text": "b"}, {"text": "c"}]


def test_a_refusal_is_an_error_object_and_an_exit_code(call: Run) -> None:
    done = call(f"{DEMO}/Echo", "-d", '{"text": "hi"}', "--as", "stranger")
    assert (done.returncode, done.stdout) == (64 + 7, "")
    error = json.loads(done.stderr)["error"]
    assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
    (info,) = error["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == ("ROLE_MISSING", "meshpact")


def test_an_error_of_the_contract_keeps_its_reason_and_metadata(call: Run) -> None:
    done = call(f"{DEMO}/Echo", "-d", '{"text": "bad"}', *AS_CALLER)
    assert done.returncode == 64 + 9
    (info,) = json.loads(done.stderr)["error"]["details"]
    assert info["reason"] == "BAD_WORD"
    assert info["metadata"]["word"] == "bad"


def test_a_stream_that_fails_prints_what_came_before(call: Run) -> None:
    done = call(f"{DEMO}/Count", "-d", '{"to": 20}', *AS_CALLER)
    assert len(answers(done.stdout)) == 12
    assert done.returncode > 64
    assert json.loads(done.stderr)["error"]["status"] != "OK"


def test_an_end_user_is_brought_by_a_token_made_here(call: Run) -> None:
    who = (f"{DEMO}/WhoAmI", *AS_CALLER)
    alone = call(*who)
    assert json.loads(alone.stderr)["error"]["details"][0]["reason"] == "TOKEN_MISSING"
    unscoped = call(*who, "--user", "ada")
    assert json.loads(unscoped.stderr)["error"]["details"][0]["reason"] == "SCOPE_MISSING"
    done = call(*who, "--user", "ada", "--scope", "demo.read")
    assert done.returncode == 0, done.stderr
    assert "ada" in done.stdout


def test_a_token_file_is_sent(home: Path, call: Run) -> None:
    (home / "token").write_text("not.a.token\n")
    done = call(f"{DEMO}/WhoAmI", *AS_CALLER, "--token-file", "token")
    assert done.returncode == 64 + 16
    assert json.loads(done.stderr)["error"]["details"][0]["reason"] == "TOKEN_INVALID"
    assert "not.a.token" not in done.stderr


def test_a_deadline_is_sent(call: Run) -> None:
    hold = (f"{DEMO}/Hold", "-d", '{"milliseconds": -1}', *AS_CALLER)
    done = call(*hold, "--timeout", "0.3")
    assert done.returncode == 64 + 4
    assert json.loads(done.stderr)["error"]["code"] == 504


def test_health_is_asked_of_the_service_named(call: Run) -> None:
    health = ("grpc.health.v1.Health/Check", *AS_CALLER)
    done = call(*health, "--address", "alpha")
    assert json.loads(done.stdout) == {"status": "SERVING"}
    open_question = call(*health)
    assert open_question.returncode == 2
    assert "--address with one of alpha" in open_question.stderr


def test_reflection_gives_the_contract_to_who_may_see_it(call: Run) -> None:
    echo = (f"{DEMO}/Echo", "-d", '{"text": "hi"}', "--reflection")
    assert call(*echo, *AS_CALLER).returncode == 0
    refused = call(*echo, "--as", "stranger")
    assert refused.returncode == 64 + 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((f"{DEMO}/Ecko", *AS_CALLER), "has no method 'Ecko'. It has: Chat"),
        (("demo.v1.DemoServices/Echo", *AS_CALLER), "Did you mean: demo.v1.DemoService?"),
        (("Echo", *AS_CALLER), "package.Service/Method"),
        ((f"{DEMO}/Echo",), "--as with one of alpha, caller, stranger"),
        ((f"{DEMO}/Echo", "--as", "nobody"), "there is no identity 'nobody'"),
        ((f"{DEMO}/Echo", *AS_CALLER, "-d", '{"texd": "a"}'), "Its fields: text"),
        ((f"{DEMO}/Echo", *AS_CALLER, "-d", '{"text": '), "no JSON"),
        ((f"{DEMO}/Echo", *AS_CALLER, "-d", "[]"), "no JSON object"),
        ((f"{DEMO}/Echo", *AS_CALLER, "-d", "{}{}"), "takes one message, 2 were given"),
        ((f"{DEMO}/Sum", *AS_CALLER, "-d", '{"number": 1}{"x": 1}'), "message 2"),
        ((f"{DEMO}/Echo", *AS_CALLER, "-H", "nonsense"), "'key: value'"),
        ((f"{DEMO}/Echo", *AS_CALLER, "-H", "Authorization: Bearer s3cret"), "--token-file FILE"),
        ((f"{DEMO}/Echo", *AS_CALLER, "-H", "authorization Bearer s3cret"), "--token-file FILE"),
        ((f"{DEMO}/Echo", *AS_CALLER, "--address", "beta"), "There are: alpha (127.0.0.1:"),
        ((f"{DEMO}/Echo", *AS_CALLER, "--state", "elsewhere"), "no mesh runs on elsewhere"),
    ],
)
def test_wrong_use_is_explained(call: Run, arguments: tuple[str, ...], words: str) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert words in done.stderr
    assert "s3cret" not in done.stderr
    assert done.stderr.startswith("meshpact: ")


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("acme.films.v1.FilmService", "served by films, which is not up: this mesh runs alpha"),
        ("acme.films.v1.FilmService", "meshpact up --system cinema (streaming and all have it"),
        ("acme.till.v1.TillService", "served by desk, which"),
        ("acme.till.v1.TillService", "meshpact up --system all."),
    ],
)
def test_a_service_that_is_not_up_is_named_with_the_way_to_start_it(
    home: Path, tmp_path: Path, service: str, words: str
) -> None:
    more = """\
  caller: {}
  films: {factory: "toy:create"}
  desk: {factory: "toy:create", serves: [acme.till.v1.TillService]}
"""
    systems = "systems: {cinema: {services: [films]}, streaming: {services: [alpha, films]}}\n"
    config = load(write_mesh(tmp_path, MESH.replace("  caller: {}\n", more) + systems))
    state = State(home / ".meshpact")
    running = state.read_running()
    assert running is not None
    with pytest.raises(UseError, match=re.escape(words)):
        RunningState(state, running, config).target(service, caller="caller")


def pasted(line: str, home: Path, tmp_path: Path) -> list[str]:
    """The arguments with which a shell runs grpcurl for a line."""
    stand_in = tmp_path / "grpcurl"
    stand_in.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    stand_in.chmod(0o755)
    path = os.pathsep.join((str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=home,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\0")[:-1]


def test_the_line_for_grpcurl_survives_a_shell_and_holds_no_secret(
    home: Path, call: Run, tmp_path: Path
) -> None:
    asked = (f"{DEMO}/Echo", "-d", '{"text": "it\'s"}', *AS_CALLER, "-H", "x-note: $HOME")
    done = call(*asked, "--user", "ada o'neil", "--scope", "demo.read", "--print-grpcurl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert re.search(r"Bearer \$\(\S*meshpact token ", done.stdout)
    words = pasted(done.stdout, home, tmp_path)
    for option in ("-cacert", "-cert", "-key", "-protoset"):
        assert (home / words[words.index(option) + 1]).is_file()
    assert words[words.index("-authority") + 1] == "alpha.demo.example"
    assert words[words.index("-d") + 1] == '{"text": "it\'s"}'
    assert "x-note: $HOME" in words
    assert any(word.startswith("authorization: Bearer eyJ") for word in words)
    assert words[-1] == f"{DEMO}/Echo"


def test_the_line_for_grpcurl_can_rely_on_reflection(call: Run) -> None:
    done = call(f"{DEMO}/Echo", *AS_CALLER, "--print-grpcurl", "--reflection")
    assert done.returncode == 0
    assert "-protoset" not in done.stdout


def test_a_mesh_of_commands_alone_has_no_contracts_and_says_so() -> None:
    with pytest.raises(UseError, match=r"no process .* has written down contracts.*--reflection"):
        Contracts(()).method(f"{DEMO}/Echo")


def test_the_metadata_of_an_error_are_told_in_one_order() -> None:
    keys = [f"key{number}" for number in range(12)]
    status = Status(code=7)
    status.details.add().Pack(ErrorInfo(metadata=dict.fromkeys(reversed(keys), "")))
    trailing = [(STATUS_DETAILS, status.SerializeToString())]
    told = json.dumps(error_object(grpc.StatusCode.PERMISSION_DENIED, "", trailing))
    assert re.findall(r"key\d+", told) == sorted(keys)
