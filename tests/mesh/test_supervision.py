"""Parts of the supervisor by themselves: ports, lifelines, patience."""

import asyncio
import io
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import grpc.aio
import pytest

from meshpact.mesh.config import load
from meshpact.mesh.model import Role
from meshpact.mesh.state import State
from meshpact.servers import overlay
from meshpact.servers.process import find
from meshpact.servers.supervisor import mesh
from meshpact.servers.supervisor.errors import UpError
from meshpact.servers.supervisor.mesh import Mesh, Task, process_age
from meshpact.servers.supervisor.ports import reserve
from meshpact.servers.supervisor.process import ending, tail
from meshpact.servers.supervisor.rolecheck import missing_roles, unknown_roles
from meshpact.servers.supervisor.snapshot import ServiceView, Snapshot
from meshpact.servers.supervisor.systems import chosen
from meshpact.servers.supervisor.view import PlainView, summary
from upmesh import write_mesh


async def test_a_reserved_port_is_for_grpc_and_for_nobody_else() -> None:
    held = reserve("127.0.0.1:0", "the test")
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port(held.address)
    assert held.address == f"127.0.0.1:{port}"
    await server.start()
    with pytest.raises(UpError, match="is taken by another process"):
        reserve(held.address, "a second")
    await server.stop(None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert other.getsockname()[1] != port
    held.release()


def test_reserved_ports_differ() -> None:
    held = [reserve("127.0.0.1:0", "the test") for _ in range(200)]
    assert len({each.address for each in held}) == 200
    for each in held:
        each.release()


@pytest.mark.parametrize("address", ["nowhere", "localhost:x", "127.0.0.1:99999", "a.example:1"])
def test_what_is_no_address_is_wrong_use(address: str) -> None:
    with pytest.raises(UpError, match="is no address") as refused:
        reserve(address, "service store")
    assert refused.value.exit_code == 2


async def test_a_service_that_never_becomes_ready_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = "import asyncio\nasync def create(context):\n    await asyncio.Event().wait()\n"
    path = write_mesh(tmp_path, toy=toy)
    said = io.StringIO()
    config = load(path)
    task = Task(
        mesh=path,
        config=config,
        state=State(tmp_path / ".meshpact"),
        part=chosen(path, config, ()),
        ready_within=0.5,
    )
    with pytest.raises(UpError, match="service alpha is not ready yet"):
        await Mesh(task, PlainView(said)).run()


async def test_reports_and_the_end_of_a_supervisor_reach_a_process() -> None:
    report_out, report_in = os.pipe()
    life_out, life_in = os.pipe()
    program = (
        "import threading\n"
        "from meshpact.servers.lifeline import Lifeline\n"
        "lifeline = Lifeline.from_environment()\n"
        "lost = threading.Event()\n"
        "lifeline.on_lost(lost.set)\n"
        "lifeline.report('ready', text='x' * 9000)\n"
        "assert lost.wait(60)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        pass_fds=(report_in, life_out),
        env={
            **os.environ,
            "MESHPACT_REPORT_FD": str(report_in),
            "MESHPACT_LIFE_FD": str(life_out),
        },
    )
    os.close(report_in)
    os.close(life_out)
    with open(report_out, "rb") as reports:  # noqa: ASYNC230, PTH123
        line = await asyncio.to_thread(reports.readline)
    assert line.startswith(b'{"event":"ready","text":"xxx')
    assert line.endswith(b'"}\n')
    os.close(life_in)
    assert await process.wait() == 0


def test_a_process_that_was_not_ready_to_lose_its_supervisor_ends_at_once() -> None:
    life_out, life_in = os.pipe()
    program = (
        "import time\n"
        "from meshpact.servers.lifeline import Lifeline\n"
        "Lifeline.from_environment()\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        pass_fds=(life_out,),
        env={**os.environ, "MESHPACT_LIFE_FD": str(life_out)},
    ) as process:
        os.close(life_out)
        os.close(life_in)
        assert process.wait(timeout=30) == 70


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "ended with exit code 1"),
        (-9, "was killed by SIGKILL"),
        (-200, "was killed by signal 200"),
    ],
)
def test_endings_are_told_in_words(code: int, words: str) -> None:
    assert ending(code) == words


def test_the_tail_of_a_log_begins_where_the_process_began(tmp_path: Path) -> None:
    log = tmp_path / "alpha.log"
    log.write_text("an old line\n")
    start = log.stat().st_size
    with log.open("a") as file:
        file.writelines(f"line {number}\n" for number in range(2000))
    assert tail(log, start)[-1] == "line 1999"
    assert len(tail(log, start)) == 12
    log.write_text("new\n")
    assert tail(log, start) == ["new"]
    assert tail(tmp_path / "absent.log") == []


def test_a_role_counts_when_what_it_includes_is_asked_for() -> None:
    roles = {"chief": Role(includes=("clerk",)), "clerk": Role(), "idle": Role(includes=("idle",))}
    (sentence,) = unknown_roles(roles, ["clerk"])
    assert sentence.startswith("roles.idle: no contract")
    assert unknown_roles(roles, ["clerk", "idle"]) == []


def test_a_role_that_contracts_ask_for_and_nobody_can_hold_is_told() -> None:
    asked = {"payroll": ["payroll.payer", "payroll.reader"], "desk": []}
    assert missing_roles({"payroll.reader": Role(), "payroll.payer": Role()}, asked) == []
    (sentence,) = missing_roles({"payroll.reader": Role(), "payroll.payers": Role()}, asked)
    assert sentence.startswith("warning: the contracts of payroll ask for the role payroll.payer")
    assert "(was payroll.payers meant?)" in sentence
    assert "Add it to roles" in sentence


def test_a_factory_finds_what_was_generated_beside_mesh_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "made_by_generate.py").write_text("WORD = 'made'\n")
    (tmp_path / "uses_what_was_made.py").write_text(
        "import made_by_generate\ndef create(context):\n    return made_by_generate.WORD\n"
    )
    assert find("uses_what_was_made:create", tmp_path, "services.alpha.factory")(None) == "made"


def test_lines_stand_below_each_other_and_say_where_people_go() -> None:
    def service(name: str, web: str, *notes: str) -> ServiceView:
        return ServiceView(name, "ready", 7, "127.0.0.1:1", "", 0, 0.0, "", web=web, notes=notes)

    services = [
        service("identity", "http://localhost:8710", "passwords are in the safe"),
        service("recommendations", "http://localhost:12345"),
        service("orders", ""),
    ]
    said = io.StringIO()
    PlainView(said).ready(Snapshot(services, ready_s=1.0), ["a line to copy"])
    assert said.getvalue().splitlines() == [
        "identity         ready  127.0.0.1:1           process 7",
        "recommendations  ready  127.0.0.1:1           process 7",
        "orders           ready  127.0.0.1:1           process 7",
        "call it yourself:",
        "  a line to copy",
        "open in a browser:",
        "  http://localhost:8710   identity",
        "  http://localhost:12345  recommendations",
        "identity: passwords are in the safe",
        "ready after 1.0 s",
    ]


def test_an_unexpected_error_is_told_when_it_comes_and_once() -> None:
    said = io.StringIO()
    view = PlainView(said)
    for errors in ({}, {"lost": 1}, {"lost": 2}, {"lost": 2, "late": 1}):
        view.show(Snapshot([], {"errors": errors}, 1.0, 0.5, "running"))
    assert said.getvalue().splitlines() == ["unexpected: lost", "unexpected: late"]


def test_the_role_for_reflection_is_the_servers_own() -> None:
    assert mesh.REFLECTION_ROLE == overlay.REFLECTION_ROLE


def test_the_age_of_a_process_counts_from_its_start() -> None:
    assert 0 < process_age() < 3600 * 24


def test_a_driver_is_shown_before_it_has_figures_and_before_its_first_latency() -> None:
    moment = Snapshot(services=[], figures={}, elapsed=2.0, ready_s=1.0, driver="running")
    assert summary(moment) == "the driver is running, without figures yet"
    begun = {"orders_placed": 0, "calls": 2, "refused_expected": 0, "errors_unexpected": 0}
    assert summary(replace(moment, figures=begun)) == (
        "0 orders  2 calls  0 refused as expected  0 errors"
    )


def test_a_process_that_has_settled_lets_the_garbage_collector_look_at_little_and_rarely() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import gc; from meshpact.servers.child import settled; gc.disable(); settled(); "
            "print(gc.isenabled(), gc.get_freeze_count() > 1000, gc.get_threshold())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split(maxsplit=2) == ["True", "True", "(10000, 10, 10)\n"]
