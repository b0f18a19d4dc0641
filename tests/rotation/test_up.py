"""A mesh run by `meshpact up` through several lifetimes of its identities, and a rotation of its
CA from elsewhere: its services call each other all along, and no call is lost."""

from __future__ import annotations

from pathlib import Path

import upmesh
from meshpact.certs.ca import LocalCA
from meshpact.certs.source import FileSource
from rotation.domain import until

LIFETIME = 5
MESH = (
    upmesh.MESH
    + f"identity: {{lifetime: {LIFETIME}s}}\ndriver: {{run: 'toy:run', identity: caller}}\n"
)
TOY = (
    upmesh.TOY
    + """
import asyncio
from demo.v1 import demo_mesh, demo_pb2

async def run(context, until):
    client = demo_mesh.DemoServiceClient(context.channel("alpha"))
    seen = {"calls": 0, "errors_unexpected": 0, "ledger_balanced": True}

    async def words():
        for _ in range(40):
            await asyncio.sleep(0.02)
            yield demo_pb2.ChatRequest(text="a")

    async def call(work):
        try:
            await work()
        except Exception as error:
            print("FAILED", repr(error), flush=True)
            seen["errors_unexpected"] += 1
        seen["calls"] += 1
        context.report(seen)

    async def echo():
        await client.echo(demo_pb2.EchoRequest(text="hello"))

    async def chat():
        assert len([answer async for answer in client.chat(words())]) == 40

    async def again(work):
        while not until.is_set():
            await call(work)
            await asyncio.sleep(0.01)

    await asyncio.gather(again(echo), again(chat))
"""
)


def test_services_call_each_other_through_lifetimes_and_a_new_ca(tmp_path: Path) -> None:
    upmesh.write_mesh(tmp_path, MESH, TOY)
    with upmesh.Up(tmp_path) as up:
        up.ready()
        source = FileSource(up.state.identity("alpha"), up.state.trust)
        first = source.current().svid
        until(lambda: source.current().svid.not_after > first.not_after, "a first renewal")
        old = LocalCA.load(up.state.ca).bundle.roots
        for step in ("prepare", "activate", "retire"):
            waits = () if step == "prepare" else ("--wait", "60s", "--settle", "2s")
            taken = upmesh.meshpact(tmp_path, "certs", "rotate", step, *waits)
            assert taken.returncode == 0, taken.stderr
        end = first.not_after + 2 * LIFETIME
        until(lambda: source.current().svid.not_after > end, "leaves of three lifetimes")
        code, report = up.end()
    assert not set(old) & set(LocalCA.load(up.state.ca).bundle.roots)
    assert report["errors_unexpected"] == 0, (up.state.logs / "driver.log").read_text()
    assert report["calls"] > 100
    assert code == 0, up.words


SLOW = f"""
import asyncio
import demoservice

async def create(context):
    await asyncio.sleep({LIFETIME + 1})
    return [demoservice.Demo()]
"""


def test_identities_are_renewed_while_services_still_start(tmp_path: Path) -> None:
    upmesh.write_mesh(tmp_path, upmesh.MESH + f"identity: {{lifetime: {LIFETIME}s}}\n", SLOW)
    with upmesh.Up(tmp_path) as up:
        folder = up.state.identity("alpha")
        until((folder / "cert.pem").exists, "an identity to start with")
        source = FileSource(folder, up.state.trust)
        first = source.current().svid
        up.ready()
        assert source.current().svid.not_after > first.not_after
