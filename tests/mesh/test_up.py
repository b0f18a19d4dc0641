"""`meshpact up` over a whole life: start, work, deaths, end."""

import shutil
import signal
import socket
from pathlib import Path

import psutil
import pytest

import upmesh
from upmesh import Up, gone, meshpact, write_mesh


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_mesh(tmp_path)
    return tmp_path


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A home of two services."""
    write_mesh(tmp_path, upmesh.PAIR)
    return tmp_path


def test_a_mesh_starts_serves_and_ends_with_a_report(pair: Path) -> None:
    with Up(pair, "--for", "1") as up:
        up.ready()
        assert set(up.running.services) == {"alpha", "beta"}
        assert up.running.pid == up.process.pid
        children = up.children()
        code, report = up.finished()
    assert code == 0, up.words
    assert [service["name"] for service in report["services"]] == ["alpha", "beta"]
    assert {service["pid"] for service in report["services"]} == {c.pid for c in children}
    assert report["orders_placed"] == report["errors_unexpected"] == 0
    assert 0 < report["ready_s"] < 30
    assert gone(children)
    assert up.state.read_running() is None


def test_what_it_shows_to_call_works_as_shown(home: Path) -> None:
    with Up(home) as up:
        line = up.until("meshpact call").split("meshpact call ")[1]
        up.ready()
        method, _, rest = line.partition(" ")
        assert "--as caller" in rest
        answer = meshpact(home, "call", method, "-d", '{"text": "hello"}', "--as", "caller")
    assert (answer.returncode, '"hello"' in answer.stdout) == (0, True), answer.stderr


def test_it_says_what_becomes_of_a_change_of_mesh_yaml(home: Path) -> None:
    with Up(home) as up:
        up.ready()
        good = upmesh.MESH.replace("[caller]}\n  mesh", "[caller, stranger]}\n  mesh")
        (home / "mesh.yaml").write_text(good)
        assert "mesh.yaml has changed: its role bindings hold now" in up.until("changed")
        (home / "mesh.yaml").write_text(good.replace("demo.caller:", "demo.other:"))
        assert "ask for the role demo.caller" in up.until("warning")
        (home / "mesh.yaml").write_text(good + "denied: {workloads: [strangr]}\n")
        assert "a change is refused, the old bindings hold" in up.until("refused")
        assert "unknown service 'strangr'" in up.until("denied.workloads[0]")


def test_killing_the_parent_leaves_no_child(pair: Path) -> None:
    with Up(pair) as up:
        up.ready()
        children = up.children()
        assert len(children) == 2
        up.process.kill()
        assert gone(children)
    alone = meshpact(pair, "call", "demo.v1.DemoService/Echo", "--as", "caller")
    assert alone.returncode == 2
    assert "no mesh runs" in alone.stderr
    assert meshpact(pair, "up", "--for", "0").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process_in_good_order(home: Path, number: int) -> None:
    with Up(home) as up:
        up.ready()
        children = up.children()
        code, report = up.end(number)
        assert (code, len(report["services"])) == (0, 1), up.words
        assert gone(children)
        assert "Traceback" not in up.words
        assert "KILL" not in up.words


def test_a_signal_during_the_start_ends_it(home: Path) -> None:
    with Up(home) as up:
        while not (up.state.logs / "alpha.log").exists():
            assert up.process.poll() is None
        children = up.children()
        code, _ = up.end(signal.SIGINT)
        assert code == 0, up.words
        assert gone(children)


def test_a_second_mesh_on_the_same_state_is_refused(home: Path) -> None:
    with Up(home) as up:
        up.ready()
        second = meshpact(home, "up", "--for", "1")
        address = up.running.services["alpha"][0].address
        assert second.returncode == 2
        assert f"process {up.process.pid} at {address}" in second.stderr
        code, _ = up.end()
        assert code == 0


def test_a_second_mesh_on_its_own_state_runs_beside_the_first(home: Path) -> None:
    with Up(home) as up:
        up.ready()
        second = meshpact(home, "up", "--for", "0", "--state", "other")
        assert second.returncode == 0, second.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = upmesh.MESH.replace(
            'alpha: {factory: "toy:create"}',
            f'alpha: {{factory: "toy:create", address: "127.0.0.1:{port}"}}',
        )
        write_mesh(tmp_path, text)
        refused = meshpact(tmp_path, "up", "--for", "1")
    assert refused.returncode == 1
    assert f"service alpha: the address 127.0.0.1:{port} is taken" in refused.stderr


@pytest.mark.parametrize("name", ["ca/ca.json", "ca/1/intermediate.pem", "issuers/local/key.pem"])
def test_half_written_authorities_are_named_and_never_replaced(home: Path, name: str) -> None:
    assert meshpact(home, "certs", "init", "--trust-domain", "demo.example").returncode == 0
    file = home / ".meshpact" / name
    file.unlink()
    refused = meshpact(home, "up", "--for", "1")
    assert refused.returncode == 1
    assert f".meshpact/{name} is missing" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not file.exists()


def test_a_state_directory_that_is_none_is_named(home: Path) -> None:
    (home / ".meshpact").write_text("a file")
    refused = meshpact(home, "up", "--for", "1")
    assert refused.returncode == 1
    assert ".meshpact" in refused.stderr
    assert "should not have happened" not in refused.stderr


def test_damaged_records_of_an_earlier_run_do_no_harm(home: Path) -> None:
    assert meshpact(home, "up", "--for", "0").returncode == 0
    state = home / ".meshpact"
    (state / "mesh.json").write_text("{")
    (state / "lock").write_text("?")
    (state / "contracts.binpb").write_bytes(b"\xff")
    (state / "contracts" / "alpha.binpb").write_bytes(b"\xff")
    (state / "contracts" / "gone.binpb").write_bytes(b"\xff")
    (state / "trust" / "demo.example.pem").unlink()
    assert meshpact(home, "up", "--for", "0").returncode == 0


def test_half_written_identities_are_issued_anew(home: Path) -> None:
    assert meshpact(home, "up", "--for", "0").returncode == 0
    identities = home / ".meshpact" / "identities"
    (identities / "alpha" / "key.pem").unlink()
    (identities / "caller" / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nMII")
    mended = meshpact(home, "up", "--for", "0", "--plain")
    assert mended.returncode == 0, mended.stderr
    assert "the identity of alpha was unusable" in mended.stdout
    assert "the identity of caller was unusable" in mended.stdout


def test_identities_of_another_ca_are_issued_anew(home: Path) -> None:
    assert meshpact(home, "up", "--for", "0").returncode == 0
    shutil.rmtree(home / ".meshpact" / "ca")
    mended = meshpact(home, "up", "--for", "0")
    assert mended.returncode == 0, mended.stderr


def test_an_unknown_role_is_wrong_use(tmp_path: Path) -> None:
    text = upmesh.MESH.replace("{workloads: [caller]}", "{includes: [demo.nobody]}", 1)
    write_mesh(tmp_path, text)
    refused = meshpact(tmp_path, "up", "--for", "1")
    assert refused.returncode == 2
    assert "demo.nobody" in refused.stderr
    assert "mesh.yaml:7" in refused.stderr


def test_a_role_that_no_contract_asks_for_is_wrong_use(tmp_path: Path) -> None:
    text = upmesh.MESH.replace("roles:", "roles:\n  demo.caler: {workloads: [caller]}")
    write_mesh(tmp_path, text)
    refused = meshpact(tmp_path, "up", "--for", "1")
    assert refused.returncode == 2
    assert "roles.demo.caler: no contract of this mesh asks for" in refused.stderr
    assert "Did you mean demo.caller?" in refused.stderr


def test_a_role_that_mesh_yaml_does_not_have_is_told(tmp_path: Path) -> None:
    text = upmesh.MESH.replace("  demo.caller: {workloads: [caller]}\n", "")
    write_mesh(tmp_path, text)
    done = meshpact(tmp_path, "up", "--for", "0")
    assert done.returncode == 0, done.stderr
    assert "warning: the contracts of alpha ask for the role demo.caller" in done.stdout
    assert "nobody can hold it. Add it to roles" in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trust_domain: demo.example\nservices: {a: {}}\n", "no service has a factory"),
        (upmesh.MESH + "driver: {run: 'toy:run', identity: nobody}\n", "driver.identity"),
        (upmesh.MESH.replace("trust_domain", "trust"), "trust"),
        ("trust_domain: [", "is not YAML"),
    ],
)
def test_a_faulty_mesh_is_wrong_use(tmp_path: Path, text: str, words: str) -> None:
    write_mesh(tmp_path, text)
    refused = meshpact(tmp_path, "up", "--for", "1")
    assert refused.returncode == 2, refused.stderr
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_missing_mesh_file_is_wrong_use(tmp_path: Path) -> None:
    refused = meshpact(tmp_path, "up", "nowhere.yaml")
    assert refused.returncode == 2
    assert "nowhere.yaml" in refused.stderr


@pytest.mark.parametrize(
    ("toy", "words"),
    [
        ("import os\nprint('last words')\nos._exit(3)\n", "last words"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "was killed by SIGKILL"),
        ("async def create(context):\n    raise OSError('the disk is full')\n", "the disk is full"),
        (
            "import absent\n",
            "No module named 'absent'. Install it, or put it beside mesh.yaml; what comes from a "
            "contract, meshpact generate writes (log: ",
        ),
        (
            "import sys\nsys.modules['asyncpg'] = None\nimport asyncpg\n",
            "Install it: pip install 'meshpact[postgres]' (log: ",
        ),
        ("create = 1\n", "toy has no callable 'create'"),
        ("async def create(context):\n    return 1\n", "gave int; allowed: a list of servicers"),
        ("async def create(context):\n    return [1]\n", "gave int, which is no servicer"),
    ],
)
def test_a_service_that_dies_at_start_is_explained(tmp_path: Path, toy: str, words: str) -> None:
    write_mesh(tmp_path, toy=toy)
    with Up(tmp_path, "--for", "5") as up:
        code, report = up.finished()
    assert (code, report) == (1, {})
    assert "did not start" in up.words
    assert words in up.words
    assert "logs/" in up.words


def test_a_service_that_dies_later_comes_back_where_it_was(home: Path) -> None:
    with Up(home) as up:
        up.ready()
        before = up.running.services["alpha"][0]
        psutil.Process(before.pid).kill()
        up.until("service alpha was killed by SIGKILL; it is started again")
        up.until("service alpha is back")
        after = up.running.services["alpha"][0]
        assert after.pid != before.pid
        assert after.address == before.address
        answer = meshpact(
            home, "call", "demo.v1.DemoService/Echo", "--as", "caller", "-d", '{"text": "hi"}'
        )
        assert answer.returncode == 0, answer.stderr
        _, report = up.end()
    assert [service["restarts"] for service in report["services"]] == [1], up.words


def test_a_state_directory_is_the_owners_alone(home: Path) -> None:
    assert meshpact(home, "up", "--for", "0").returncode == 0
    root = home / ".meshpact"
    open_to_others = [
        path for path in (root, *root.rglob("*")) if path.is_dir() and path.stat().st_mode & 0o077
    ]
    assert open_to_others == []
    keys = list(root.rglob("*key*.pem"))
    assert keys
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys)
