"""The driver of a mesh: started when all is ready, heard all along, judged at the end."""

import signal
from pathlib import Path

import pytest

import upmesh
from upmesh import Up, gone, write_mesh

DRIVEN = upmesh.MESH + "driver: {run: 'toy:run', identity: caller}\n"
FIGURES = """
FIGURES = {"orders_placed": 3, "order_lines": 7, "calls": 9, "refused_expected": 2,
           "errors_unexpected": 0, "p50_ms": 1.5, "p99_ms": 4.5, "ledger_balanced": True}
"""
CALLING = (
    upmesh.TOY
    + FIGURES
    + """
from demo.v1 import demo_mesh, demo_pb2

async def run(context, until):
    client = demo_mesh.DemoServiceClient(context.channel("alpha"))
    answer = await client.echo(demo_pb2.EchoRequest(text="hello"))
    context.report({**FIGURES, "said": answer.text})
    await until.wait()
    context.report({"orders_placed": 4})
"""
)


def test_the_driver_calls_the_mesh_and_its_figures_are_reported(tmp_path: Path) -> None:
    write_mesh(tmp_path, DRIVEN, CALLING)
    with Up(tmp_path) as up:
        up.until(" 9 calls")
        code, report = up.end()
    assert code == 0, up.words
    assert report["said"] == "hello"
    assert (report["orders_placed"], report["order_lines"], report["calls"]) == (4, 7, 9)
    assert (report["p50_ms"], report["p99_ms"]) == (1.5, 4.5)
    assert report["ledger_balanced"] is True


@pytest.mark.parametrize(
    "figures", ['{"calls": 9, "errors_unexpected": 1}', '{"calls": 9, "ledger_balanced": False}']
)
def test_a_fault_in_the_figures_is_the_exit_code(tmp_path: Path, figures: str) -> None:
    run = f"\nasync def run(context, until):\n    context.report({figures})\n"
    write_mesh(tmp_path, DRIVEN, upmesh.TOY + run)
    with Up(tmp_path) as up:
        up.until(" 9 calls")
        code, report = up.end()
    assert code == 1
    assert report["errors_unexpected"] or report["ledger_balanced"] is False


STUBBORN = """
import asyncio

async def run(context, until):
    context.report({"calls": 9})
    await until.wait()
    context.report({"calls": 10})
    await asyncio.Event().wait()
"""


def test_killing_the_parent_ends_the_driver(tmp_path: Path) -> None:
    write_mesh(tmp_path, DRIVEN, upmesh.TOY + STUBBORN)
    with Up(tmp_path) as up:
        up.until(" 9 calls")
        children = up.children()
        assert len(children) == 2
        up.process.kill()
        assert gone(children)


def test_a_second_signal_ends_what_will_not_end(tmp_path: Path) -> None:
    write_mesh(tmp_path, DRIVEN, upmesh.TOY + STUBBORN)
    with Up(tmp_path) as up:
        up.until(" 9 calls")
        children = up.children()
        up.process.send_signal(signal.SIGINT)
        up.until("ending")
        up.process.send_signal(signal.SIGINT)
        code, report = up.finished()
        assert gone(children)
    assert code == 1
    assert report["calls"] >= 9


def test_a_driver_that_fails_is_named_and_is_the_exit_code(tmp_path: Path) -> None:
    run = "\nasync def run(context, until):\n    raise ValueError('no such order')\n"
    write_mesh(tmp_path, DRIVEN, upmesh.TOY + run)
    with Up(tmp_path) as up:
        up.until("the driver failed")
        code, report = up.end()
    assert code == 1
    assert "the driver failed: ValueError: no such order" in up.words
    assert len(report["services"]) == 1
