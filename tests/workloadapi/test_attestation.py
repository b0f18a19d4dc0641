"""Which workload a process is: only what was started, only in its session, only in its own life."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshpact.servers.workloadapi.attestation import Peer, ProcessTable, Workloads
from workloadapi.world import START, Proc

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


@pytest.fixture
def workloads(proc: Proc) -> Workloads:
    known = Workloads(proc.table)
    known.add(proc.add(100), "alpha")
    return known


def test_what_was_started_is_its_service(workloads: Workloads) -> None:
    assert workloads.service_of(Peer(100, START)) == "alpha"


def test_what_it_starts_in_its_session_is_the_service_too(proc: Proc, workloads: Workloads) -> None:
    helper = proc.add(101, start=START + 5, session=100)
    assert workloads.service_of(helper) == "alpha"


def test_a_process_of_another_session_is_nobody(proc: Proc, workloads: Workloads) -> None:
    assert workloads.service_of(proc.add(200)) is None
    assert workloads.service_of(proc.add(201, session=200)) is None


def test_a_process_that_left_the_session_is_nobody(proc: Proc, workloads: Workloads) -> None:
    helper = proc.add(101, session=100)
    assert workloads.service_of(helper) == "alpha"
    proc.add(101)
    assert workloads.service_of(helper) is None


def test_a_process_with_a_reused_id_is_nobody(proc: Proc, workloads: Workloads) -> None:
    before = Peer(100, START)
    after = proc.add(100, start=START + 1)
    assert workloads.service_of(before) is None
    assert workloads.service_of(after) is None


def test_a_helper_with_a_reused_id_is_nobody(proc: Proc, workloads: Workloads) -> None:
    helper = proc.add(101, session=100)
    proc.add(101, start=START + 1, session=100)
    assert workloads.service_of(helper) is None


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_process_that_has_ended_is_nobody(proc: Proc, workloads: Workloads, state: str) -> None:
    proc.add(100, state=state)
    assert workloads.service_of(Peer(100, START)) is None
    assert proc.table.peer(100) is None


def test_nobody_is_left_of_a_session_whose_leader_has_ended(
    proc: Proc, workloads: Workloads
) -> None:
    helper = proc.add(101, session=100)
    proc.remove(100)
    assert workloads.service_of(helper) is None


def test_what_was_taken_out_is_nobody(workloads: Workloads) -> None:
    workloads.remove(Peer(100, START))
    assert workloads.service_of(Peer(100, START)) is None


def test_the_end_of_an_earlier_process_takes_nothing_from_a_later_one(
    proc: Proc, workloads: Workloads
) -> None:
    later = proc.add(100, start=START + 1)
    workloads.add(later, "beta")
    workloads.remove(Peer(100, START))
    assert workloads.service_of(later) == "beta"


@pytest.mark.parametrize("text", ["", "100 (a", "100 (a) S 1", "100 (a) S 1 2 x " + "0 " * 20])
def test_what_cannot_be_read_is_nobody(proc: Proc, workloads: Workloads, text: str) -> None:
    (proc.root / "100" / "stat").write_text(text)
    assert workloads.service_of(Peer(100, START)) is None


@pytest.mark.parametrize("pid", [0, -1])
def test_a_process_of_another_namespace_is_nobody(pid: int) -> None:
    assert ProcessTable().peer(pid) is None


@pytest.fixture
def shell() -> Iterator[subprocess.Popen[str]]:
    """A process with a session of its own that starts what it is told and prints the IDs."""
    code = (
        "import subprocess, sys\n"
        "for line in sys.stdin:\n"
        "    new = line.strip() == 'new'\n"
        "    print(subprocess.Popen(['sleep', '60'], start_new_session=new).pid, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        yield process
        os.killpg(process.pid, 9)


def test_the_kernel_tells_who_belongs_to_whom(shell: subprocess.Popen[str]) -> None:
    table = ProcessTable()
    workloads = Workloads(table)
    leader = table.peer(shell.pid)
    assert leader is not None
    workloads.add(leader, "alpha")

    def started(how: str) -> Peer:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(f"{how}\n")
        shell.stdin.flush()
        found = table.peer(int(shell.stdout.readline()))
        assert found is not None
        return found

    assert workloads.service_of(leader) == "alpha"
    assert workloads.service_of(started("same")) == "alpha"
    apart = started("new")
    try:
        assert workloads.service_of(apart) is None
        own = table.peer(os.getpid())
        assert own is not None
        assert workloads.service_of(own) is None
    finally:
        os.kill(apart.pid, 9)


if os.access(LAST_PID, os.W_OK):  # only root can have an ID reused

    def test_an_id_that_the_kernel_hands_out_again_is_worth_nothing() -> None:
        table = ProcessTable()
        workloads = Workloads(table)
        first = subprocess.Popen(["sleep", "60"], start_new_session=True)
        peer = table.peer(first.pid)
        assert peer is not None
        workloads.add(peer, "alpha")
        assert workloads.service_of(peer) == "alpha"
        first.kill()
        first.wait()
        for _ in range(200):  # others may take the ID first
            LAST_PID.write_text(str(peer.pid - 1))
            second = subprocess.Popen(["sleep", "60"], start_new_session=True)
            try:
                if second.pid != peer.pid:
                    continue
                found = table.peer(second.pid)
                if found == peer:  # within the same tick of the clock
                    continue
                assert found is not None
                assert workloads.service_of(found) is None
                assert workloads.service_of(peer) is None
                return
            finally:
                second.kill()
                second.wait()
        pytest.fail("the kernel never handed the ID out again")
