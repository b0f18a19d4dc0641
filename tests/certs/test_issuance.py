"""The log of what a CA issued: complete, only ever added to, and trusted over hope."""

from __future__ import annotations

import json
import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meshpact.certs.ca import CaError, LocalCA
from meshpact.certs.issuance import Entry, IssuanceLog
from meshpact.certs.spiffe import SpiffeId

INVENTORY = SpiffeId.parse("spiffe://acme.example/inventory")
ORDERS = SpiffeId.parse("spiffe://acme.example/orders")


@pytest.fixture
def ca(tmp_path: Path) -> LocalCA:
    return LocalCA.init(tmp_path / "ca", "acme.example")


@pytest.fixture
def log(ca: LocalCA) -> Path:
    return ca.directory / "issued.jsonl"


def lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def refusal_of(ca: LocalCA, spiffe_id: SpiffeId = INVENTORY) -> CaError:
    with pytest.raises(CaError) as refusal:
        ca.issue(spiffe_id)
    return refusal.value


def test_each_certificate_has_its_line_with_who_what_and_until_when(ca: LocalCA, log: Path) -> None:
    now = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    svid = ca.issue(INVENTORY, now=now)
    *earlier, last = lines(log)
    assert [each["event"] for each in earlier] == ["root", "intermediate"]
    assert last == {
        "v": 1,
        "time": "2026-05-04T03:02:01Z",
        "event": "issued",
        "root": earlier[0]["root"],
        "id": str(INVENTORY),
        "dns": "inventory.acme.example",
        "serial": f"{svid.serial:x}",
        "not_before": "2026-05-04T02:57:01Z",
        "not_after": "2026-05-04T04:02:01Z",
    }


def test_only_the_owner_can_read_it_and_nothing_in_it_is_ever_changed(
    ca: LocalCA, log: Path
) -> None:
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    before, inode = log.read_bytes(), log.stat().st_ino
    ca.issue(INVENTORY)
    assert log.read_bytes().startswith(before)
    assert log.stat().st_ino == inode


def test_no_key_is_in_it(ca: LocalCA, log: Path) -> None:
    svid = ca.issue(INVENTORY)
    assert "PRIVATE" not in log.read_text()
    assert svid.key_pem.splitlines()[1].decode() not in log.read_text()


def test_a_name_that_another_id_holds_is_refused_and_the_holder_named(
    ca: LocalCA, log: Path
) -> None:
    other = Entry(
        v=1,
        time=datetime.now(UTC),
        event="issued",
        id=str(ORDERS),
        dns="inventory.acme.example",
        not_after=datetime.now(UTC) - timedelta(days=400),
    )
    IssuanceLog(log).append(other)
    error = refusal_of(ca)
    assert error.rule == "dns-name"
    assert "inventory.acme.example was issued to spiffe://acme.example/orders" in str(error)
    assert ca.issue(ORDERS).id == ORDERS


def test_two_processes_that_issue_at_once_both_have_their_lines(ca: LocalCA, log: Path) -> None:
    names = [f"service-{number}" for number in range(12)]
    others = [LocalCA.load(ca.directory) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = [
            pool.submit(others[place % 4].issue, SpiffeId.for_service(ca.trust_domain, name))
            for place, name in enumerate(names)
        ]
    serials = {f"{each.result().serial:x}" for each in made}
    assert {each["serial"] for each in lines(log)[2:]} == serials


def test_what_a_crash_left_of_a_line_is_marked_and_counts_for_nothing(
    ca: LocalCA, log: Path
) -> None:
    with log.open("ab") as file:
        file.write(b'{"v":1,"time":"2026-05-04T0')
    svid = LocalCA.load(ca.directory).issue(INVENTORY)
    found = list(IssuanceLog(log).entries())
    assert [each.event for each in found] == ["root", "intermediate", "issued"]
    assert found[-1].serial == f"{svid.serial:x}"
    assert b'"event":"mended"' in log.read_bytes()
    LocalCA.load(ca.directory).issue(INVENTORY)


@pytest.mark.parametrize("rest", [b"torn\n", b"torn\ntorn", b'torn\n{"v":1,"event":"mend'])
def test_crashes_while_a_crash_was_being_mended_are_mended_too(
    ca: LocalCA, log: Path, rest: bytes
) -> None:
    with log.open("ab") as file:
        file.write(rest)
    LocalCA.load(ca.directory).issue(INVENTORY)
    LocalCA.load(ca.directory).issue(ORDERS)
    assert [each.id for each in IssuanceLog(log).entries()][-2:] == [str(INVENTORY), str(ORDERS)]


def test_a_line_damaged_in_the_middle_stops_all_issuing_and_is_named(
    ca: LocalCA, log: Path
) -> None:
    first, _, rest = log.read_bytes().partition(b"\n")
    log.write_bytes(first[:-5] + b"\n" + rest)
    error = refusal_of(LocalCA.load(ca.directory))
    assert error.rule == "log"
    assert f"{log}:1: the line is not readable" in str(error)


def test_a_log_that_became_shorter_stops_all_issuing(ca: LocalCA, log: Path) -> None:
    ca.issue(INVENTORY)
    log.write_bytes(log.read_bytes()[:10])
    error = refusal_of(ca)
    assert error.rule == "log"
    assert "shorter than it was" in str(error)
    log.unlink()
    assert refusal_of(ca).rule == "log"


def test_without_a_log_that_can_be_written_nothing_is_issued(ca: LocalCA, log: Path) -> None:
    log.unlink()
    log.mkdir()
    error = refusal_of(LocalCA.load(ca.directory))
    assert error.rule == "log"
    assert "is no file" in str(error)


def test_a_link_in_the_place_of_the_log_is_not_written_through(
    ca: LocalCA, log: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"")
    log.unlink()
    log.symlink_to(elsewhere)
    assert refusal_of(LocalCA.load(ca.directory)).rule == "log"
    assert elsewhere.read_bytes() == b""


def test_a_full_disk_stops_issuing_says_so_and_leaves_no_trace_behind(
    ca: LocalCA, log: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 10, hard))
    try:
        error = refusal_of(ca)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.rule == "log"
    assert "cannot be written" in str(error)
    svid = ca.issue(ORDERS)
    assert [each.serial for each in IssuanceLog(log).entries()][2:] == [f"{svid.serial:x}"]


def test_a_device_in_the_place_of_the_log_is_not_read(ca: LocalCA, log: Path) -> None:
    log.unlink()
    os.mkfifo(log)
    error = refusal_of(LocalCA.load(ca.directory))
    assert error.rule == "log"
    assert "is no file" in str(error)
