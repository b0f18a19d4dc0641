"""The whole reference mesh, as `make run` runs it, on the real orders."""

import json
import shutil
import subprocess
import sys
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


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the project's mesh.yaml and no state."""
    shutil.copy(ROOT / "mesh.yaml", tmp_path)
    return tmp_path


def call(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "meshpact.cli", "call", *arguments],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.timeout(240)
def test_real_orders_go_through_under_full_enforcement(shop: Path) -> None:
    with Up(shop) as up:
        up.ready()
        children = up.children()
        while "  0 orders" in (line := up.until(" orders  ")) or "- orders" in line:
            pass
        stock = call(shop, *GET_STOCK, "--as", "store")
        refused = call(shop, *GET_STOCK, "--as", "stranger")
        code, report = up.end()
    assert code == 0, up.words
    check_report(report)
    served = load(shop / "mesh.yaml").systems["retail"].services
    assert {service["name"] for service in report["services"]} == set(served)
    assert gone(children)
    assert stock.returncode == 0, stock.stderr
    assert json.loads(stock.stdout)
    assert refused.returncode == 64 + 7
    assert json.loads(refused.stderr)["error"]["details"][0]["reason"] == "ROLE_MISSING"


@pytest.mark.timeout(240)
def test_a_second_run_goes_on_with_the_same_books(shop: Path) -> None:
    for _ in range(2):
        with Up(shop) as up:
            up.ready()
            while "  0 orders" in (line := up.until(" orders  ")) or "- orders" in line:
                pass
            code, report = up.end()
        assert code == 0, up.words
        check_report(report)


@pytest.mark.timeout(240)
def test_a_service_killed_under_load_comes_back_and_the_books_still_balance(shop: Path) -> None:
    with Up(shop) as up:
        up.ready()
        while "  0 orders" in (line := up.until(" orders  ")) or "- orders" in line:
            pass
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
