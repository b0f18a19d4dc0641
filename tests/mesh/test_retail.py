"""The whole reference mesh, as `make run` runs it, on the real orders."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from meshpact.mesh.config import load
from upmesh import Up, gone

ROOT = Path(__file__).parents[2]
GET_STOCK = (
    "acme.retail.inventory.v1.InventoryService/GetStock",
    "-d",
    '{"sku": "85123A"}',
    "--timeout",
    "10",
)


def call(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "meshpact.cli", "call", *arguments],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True)
class Run:
    """A run on a folder that had nothing but mesh.yaml, and what became of it."""

    home: Path
    words: str
    code: int
    report: dict[str, Any]
    ended: bool
    stock: subprocess.CompletedProcess[str]
    refused: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run for all tests: they read what it left, or go on where it stopped."""
    home = tmp_path_factory.mktemp("shop")
    shutil.copy(ROOT / "mesh.yaml", home)
    with Up(home) as up:
        children = up.ready().children()
        up.driven()
        stock = call(home, *GET_STOCK, "--as", "store")
        refused = call(home, *GET_STOCK, "--as", "stranger")
        code, report = up.end()
    return Run(home, up.words, code, report, gone(children), stock, refused)


@pytest.mark.timeout(240)
def test_real_orders_go_through_under_full_enforcement(first: Run) -> None:
    assert first.code == 0, first.words
    check_report(first.report)
    served = load(first.home / "mesh.yaml").systems["retail"].services
    assert {service["name"] for service in first.report["services"]} == set(served)
    assert first.ended
    assert first.stock.returncode == 0, first.stock.stderr
    assert json.loads(first.stock.stdout)
    assert first.refused.returncode == 64 + 7
    error = json.loads(first.refused.stderr)["error"]
    assert error["details"][0]["reason"] == "ROLE_MISSING"


@pytest.mark.timeout(240)
def test_a_second_run_goes_on_with_the_same_books(first: Run) -> None:
    with Up(first.home) as up:
        code, report = up.ready().driven().end()
    assert code == 0, up.words
    check_report(report)


@pytest.mark.timeout(240)
def test_a_service_killed_under_load_comes_back_and_the_books_still_balance(first: Run) -> None:
    with Up(first.home) as up:
        up.ready().driven()
        psutil.Process(up.pid("shipping")).kill()
        up.until("service shipping is back")
        up.until(" orders  ")
        _, report = up.end()
    assert report["ledger_balanced"] is True, up.words
    assert {s["name"]: s["restarts"] for s in report["services"]}["shipping"] == 1


def check_report(report: dict[str, Any]) -> None:
    assert report["errors_unexpected"] == 0, report["errors"]
    assert report["ledger_balanced"] is True
    assert report["orders_placed"] > 0
    assert report["order_lines"] >= report["orders_placed"]
    assert report["calls"] > report["orders_placed"]
    assert report["refused_expected"] > 0
    assert 0 < report["p50_ms"] <= report["p99_ms"]
    assert report["ready_s"] > 0
