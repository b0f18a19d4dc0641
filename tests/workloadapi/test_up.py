"""`meshpact up` runs processes of any language, and each of them learns who it is."""

import json
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import spiffe
from spiffe.workloadapi.errors import FetchX509SvidError

import upmesh
from meshpact.certs.bundledocument import format_document
from meshpact.certs.ca import LocalCA, write_svid
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.mesh.state import State
from meshpact.servers.workloadapi.place import Place
from reports import Reports
from upmesh import Up

ASK = Path(__file__).with_name("ask.py")


class Stage:
    """A folder for a mesh whose commands are `ask.py`, and what they tell."""

    def __init__(self, home: Path, reports: Reports) -> None:
        self.home = home
        self.reports = reports

    def write(self, services: str, further: str = "") -> None:
        """mesh.yaml with these services beside `alpha`; ROLE! stands for a command of `ask.py`."""
        for role in ("once", "stay", "fail", "family", "serve"):
            words = ", ".join(
                json.dumps(str(word)) for word in (sys.executable, ASK, role, self.reports.path)
            )
            services = services.replace(f"{role}!", f"[{words}]")
        upmesh.write_mesh(
            self.home,
            f"trust_domain: demo.example\nservices:\n"
            f'  alpha: {{factory: "toy:create"}}\n{services}\n{further}\n'
            "issuers:\n"
            '  - {issuer: "https://i.example", file: .meshpact/issuers/local/jwks.json,'
            " audiences: [demo]}\n",
        )

    def up(self, *options: str) -> Up:
        return Up(self.home, *options)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="wl-", dir="/tmp") as folder:
        reports = Reports(Path(folder) / "reports.sock")
        yield Stage(Path(folder), reports)
        reports.close()


def identity(name: str) -> str:
    return f"spiffe://demo.example/{name}"


def ask(up: Up) -> str:
    """Asks from here, outside of the mesh."""
    with spiffe.WorkloadApiClient(Place.of(up.state).address) as client:
        return str(client.fetch_x509_svid(timeout=30).spiffe_id)


def endpoints(up: Up) -> list[psutil.Process]:
    return [each for each in up.children() if "workloadapi.serving" in each.cmdline()]


def test_a_command_is_told_what_it_is_and_where_the_others_are(stage: Stage) -> None:
    stage.write('  one: {command: once!, address: ""}\n  two: {command: serve!}')
    with stage.up() as up:
        up.ready()
        for name in ("one", "two"):
            assert stage.reports.wait(name, "told")["id"] == identity(name)
        told = stage.reports.wait("two", "began")["environment"]
        told.pop("MESHPACT_TEST_COMMAND", None)  # of the run of these tests
        services = json.loads(told.pop("MESHPACT_SERVICES"))
        two = up.running.services["two"][0]
        assert told == {"MESHPACT_SERVICE": "two", "MESHPACT_ADDRESS": two.address}
        assert services == {
            "alpha": {"id": identity("alpha"), "address": up.running.services["alpha"][0].address},
            "one": {"id": identity("one")},
            "two": {"id": identity("two"), "address": two.address},
        }
        assert stage.reports.wait("two", "told")["pid"] == two.pid
        assert up.running.services["one"][0].address == ""
        assert "MESHPACT_ADDRESS" not in stage.reports.wait("one", "began")["environment"]


def test_one_that_ends_well_has_finished_and_one_that_fails_starts_again(stage: Stage) -> None:
    stage.write('  one: {command: once!, address: ""}\n  bad: {command: fail!, address: ""}')
    with stage.up() as up:
        up.ready()
        first = stage.reports.wait("bad", "told")
        second = stage.reports.wait("bad", "told", lambda report: report["pid"] != first["pid"])
        assert first["id"] == second["id"] == identity("bad")
        up.until("service bad ended with exit code 3; it is started again")
        code, report = up.end()
    assert code == 0
    assert {each["name"]: bool(each["restarts"]) for each in report["services"]} == {
        "alpha": False,
        "one": False,
        "bad": True,
    }
    assert len(stage.reports.of("one", "began")) == 1


def test_what_a_command_starts_is_the_same_workload_while_it_stays_in_its_session(
    stage: Stage,
) -> None:
    stage.write('  one: {command: family!, address: ""}')
    with stage.up():
        stage.reports.wait("one", "done")
        own, helper = stage.reports.of("one", "told")
        assert own["id"] == helper["id"] == identity("one")
        assert own["pid"] != helper["pid"]
        (refused,) = stage.reports.of("one", "refused")
        assert refused["pid"] not in (own["pid"], helper["pid"])


def test_a_service_in_python_can_ask_as_well(stage: Stage) -> None:
    stage.write("")
    (stage.home / "toy.py").write_text(
        "import asyncio, socket, spiffe, demoservice\n"
        "def ask():\n"
        "    with spiffe.WorkloadApiClient() as client:\n"
        "        return str(client.fetch_x509_svid(timeout=30).spiffe_id)\n"
        "async def create(context):\n"
        "    print('I am', await asyncio.to_thread(ask), flush=True)\n"
        "    return [demoservice.Demo()]\n"
    )
    with stage.up() as up:
        up.ready()
        log = (up.state.logs / "alpha.log").read_text()
    assert f"I am {identity('alpha')}" in log


def test_who_was_not_started_gets_nothing_and_the_endpoint_waits_for_the_first_to_ask(
    stage: Stage,
) -> None:
    stage.write("")
    with stage.up() as up:
        up.ready()
        assert endpoints(up) == []
        with pytest.raises(FetchX509SvidError, match="not started by meshpact up"):
            ask(up)
        assert len(endpoints(up)) == 1
        directory = Place.of(up.state).directory
        up.end()
    assert not directory.exists()


def test_an_endpoint_that_is_killed_is_started_again_by_the_next_who_asks(stage: Stage) -> None:
    stage.write('  one: {command: stay!, address: ""}')
    with stage.up() as up:
        up.ready()
        first = stage.reports.wait("one", "updated")
        (endpoint,) = endpoints(up)
        endpoint.kill()
        up.until("the Workload API was killed by SIGKILL; the next caller starts it again")
        svid = LocalCA.load(up.state.ca).issue(SpiffeId.parse(identity("one")))
        write_svid(up.state.identity("one"), svid)
        found = stage.reports.wait("one", "updated", lambda report: report != first)
        assert found["serial"] == f"{svid.serial:x}"
        with pytest.raises(FetchX509SvidError, match="not started by meshpact up"):
            ask(up)


def test_a_second_signal_ends_the_endpoint_and_does_not_say_that_it_starts_again(
    stage: Stage,
) -> None:
    deaf = "trap '' TERM; : > deaf; while :; do sleep 1; done"
    stage.write(f'  one: {{command: [sh, -c, "{deaf}"], address: ""}}')
    with stage.up() as up:
        up.ready()
        while not (stage.home / "deaf").exists():
            assert up.process.poll() is None
        with pytest.raises(FetchX509SvidError):
            ask(up)
        up.process.send_signal(signal.SIGTERM)
        up.until("ending")
        assert len(endpoints(up)) == 1
        up.end()
    assert "starts it again" not in up.words


def test_a_new_leaf_is_pushed_to_a_command(stage: Stage) -> None:
    stage.write('  one: {command: stay!, address: ""}')
    with stage.up() as up:
        up.ready()
        stage.reports.wait("one", "updated")
        svid = LocalCA.load(up.state.ca).issue(SpiffeId.parse(identity("one")))
        write_svid(up.state.identity("one"), svid)
        stage.reports.wait("one", "updated", lambda report: report["serial"] == f"{svid.serial:x}")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("[./nowhere]", "service one did not start: ./nowhere cannot be run: No such file"),
        ("[/]", "service one did not start: / cannot be run: Permission denied"),
    ],
)
def test_a_program_that_is_not_there_is_named(stage: Stage, command: str, words: str) -> None:
    stage.write(f'  one: {{command: {command}, address: ""}}')
    with stage.up() as up:
        code, _ = up.finished()
        assert code == 1
        assert words in up.words


def test_a_server_that_dies_before_it_listens_did_not_start(stage: Stage) -> None:
    stage.write("  one: {command: [sh, -c, 'echo no port for me; exit 4']}")
    with stage.up() as up:
        code, _ = up.finished()
        assert code == 1
        assert "service one did not start: it ended with exit code 4" in up.words
        assert "no port for me" in up.words


def test_a_command_runs_in_the_folder_of_mesh_yaml_without_a_shell(stage: Stage) -> None:
    program = stage.home / "program"
    program.write_text('#!/bin/sh\necho "$1" > said\nexec sleep 60\n')
    program.chmod(0o755)
    stage.write("""  one: {command: [./program, "$HOME 'x'"], address: ""}""")
    (stage.home / "sub").mkdir()
    with stage.up() as up:
        up.ready()
        assert psutil.Process(up.pid("one")).cwd() == str(stage.home)
        up.end()
    assert (stage.home / "said").read_text() == "$HOME 'x'\n"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_ends_with_its_supervisor(stage: Stage, how: signal.Signals) -> None:
    stage.write("""  one: {command: [sleep, "600"], address: ""}""")
    with stage.up() as up:
        up.ready()
        children = up.children()
        assert up.pid("one") in [child.pid for child in children]
        up.process.send_signal(how)
        assert upmesh.gone(children)


def test_what_a_command_started_ends_with_it(stage: Stage) -> None:
    script = shlex.quote("trap '' TERM; sleep 600 & echo $! > helper; wait; wait")
    stage.write(f"  one: {{command: [sh, -c, {json.dumps(script[1:-1])}], address: ''}}")
    (stage.home / "mesh.yaml").write_text(
        (stage.home / "mesh.yaml").read_text() + "limits: {drain: 100ms}\n"
    )
    os.mkfifo(stage.home / "helper")
    with stage.up() as up:
        up.ready()
        process = psutil.Process(int((stage.home / "helper").read_text()))
        up.end()
        assert upmesh.gone([process])


def test_the_socket_of_a_killed_supervisor_is_replaced(stage: Stage) -> None:
    stage.write('  one: {command: stay!, address: ""}')
    with stage.up() as up:
        up.ready()
        children = up.children()
        up.process.kill()
        assert upmesh.gone(children)
        assert Place.of(up.state).directory.exists()
    before = stage.reports.mark()
    with stage.up() as up:
        up.ready()
        assert stage.reports.wait("one", "told", since=before)["id"] == identity("one")


def test_a_state_with_a_long_path_has_its_socket_elsewhere(stage: Stage) -> None:
    stage.write('  one: {command: once!, address: ""}')
    state = stage.home / ("d" * 60) / ("e" * 60)
    with stage.up("--state", str(state)) as up:
        up.until("is too long for a socket: the Workload API is at unix:///")
        assert stage.reports.wait("one", "told")["id"] == identity("one")


def test_bundles_of_federated_domains_come_along(stage: Stage) -> None:
    other = LocalCA.init(stage.home / "other", TrustDomain("other.example"))
    (stage.home / "other.json").write_bytes(
        format_document(other.bundle, sequence=1, refresh_hint=60)
    )
    stage.write(
        '  one: {command: once!, address: ""}', "federation: {other.example: {bundle: other.json}}"
    )
    with stage.up():
        told = stage.reports.wait("one", "told")
    assert told["domains"] == ["demo.example", "other.example"]


def test_where_mesh_yaml_names_a_workload_api_commands_are_sent_there(stage: Stage) -> None:
    (stage.home / "mesh.yaml").write_text(
        "trust_domain: demo.example\n"
        "services:\n"
        "  one: {command: [sh, -c, 'echo $SPIFFE_ENDPOINT_SOCKET > said'], address: ''}\n"
        "identity: {workload_api: 'unix:///run/agent.sock'}\n"
    )
    with stage.up() as up:
        up.ready()
        assert not Place.of(up.state).directory.exists()
    assert (stage.home / "said").read_text() == "unix:///run/agent.sock\n"


def test_keys_of_jwt_svids_that_are_broken_are_named(stage: Stage) -> None:
    stage.write('  one: {command: once!, address: ""}')
    keys = stage.home / ".meshpact" / "jwt" / "keys.json"
    State(stage.home / ".meshpact").create()
    keys.parent.mkdir(parents=True)
    keys.write_text("{")
    with stage.up() as up:
        code, _ = up.finished()
    assert code == 1
    assert "service one did not start: the Workload API cannot be served" in up.words
    assert "keys.json does not hold the keys" in up.words
    assert keys.read_text() == "{"


@pytest.fixture
def without_spiffe(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mesh finds no library `spiffe`."""
    without = stage.home / "without"
    without.mkdir()
    (without / "sitecustomize.py").write_text("import sys\nsys.modules['spiffe'] = None\n")
    monkeypatch.setattr(upmesh, "PATHS", (without, *upmesh.PATHS))


@pytest.mark.usefixtures("without_spiffe")
def test_without_the_library_a_command_says_what_to_install(stage: Stage) -> None:
    stage.write('  one: {command: once!, address: ""}')
    with stage.up() as up:
        code, _ = up.finished()
    assert code == 1
    assert "install it: pip install 'meshpact[workload-api]'" in up.words


@pytest.mark.usefixtures("without_spiffe")
def test_without_the_library_whoever_asks_is_sent_away_and_the_mesh_runs_on(stage: Stage) -> None:
    stage.write("")
    with stage.up() as up:
        up.ready()
        with pytest.raises(FetchX509SvidError):
            ask(up)
        up.until("the Workload API cannot be served: install it")
        code, report = up.end()
    assert (code, report["services"][0]["restarts"]) == (0, 0)
