"""The server on the page about adoption, run as the page says: guarded, and by what holds now."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from howtos.pages import blocks
from meshpact.certs.credentials import channel_credentials, channel_options
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import SpiffeId
from upmesh import Up

PAGE = "adopt-an-existing-server"
CONTRACT = """\
syntax = "proto3";
package acme.legacy.v1;
service LegacyService { rpc Ask(AskRequest) returns (AskResponse); }
message AskRequest {}
message AskResponse { string answer = 1; }
"""
HANDLERS = """\
from acme.legacy.v1 import legacy_pb2, legacy_pb2_grpc

class Legacy(legacy_pb2_grpc.LegacyServiceServicer):
    async def Ask(self, request, context):
        return legacy_pb2.AskResponse(answer="as ever")
"""
ANSWER = b"\n\x07as ever"
LEGACY = SpiffeId.parse("spiffe://acme.example/legacy")


@pytest.fixture
def adopted(tmp_path: Path) -> Iterator[Up]:
    """The page's server, beside a contract and handlers that know nothing of Meshpact."""
    (program,) = blocks(PAGE, "python")
    overlay, mesh = blocks(PAGE, "yaml")
    for path, text in {
        "third_party/acme/legacy/v1/legacy.proto": CONTRACT,
        "handlers.py": HANDLERS,
        "legacy.py": program,
        "overlay.yaml": overlay,
        "mesh.yaml": mesh.replace("[python,", f"[{sys.executable},"),
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Ithird_party"]
    outs = ["--python_out=.", "--grpc_python_out=.", "acme/legacy/v1/legacy.proto"]
    subprocess.run([*command, *outs], cwd=tmp_path, check=True)
    with Up(tmp_path).ready() as up:
        yield up


def test_the_server_of_the_page_is_guarded_and_follows_mesh_yaml(adopted: Up) -> None:
    desk = _caller(adopted, "desk")
    assert desk() == ANSWER
    assert _caller(adopted, "legacy")() == (
        "none of the caller's roles is allowed here (one of: legacy.user)"
    )
    mesh = adopted.home / "mesh.yaml"
    mesh.write_text(mesh.read_text() + "\ndenied: { workloads: [desk] }\n")
    adopted.until("its role bindings hold now")
    while desk() == ANSWER:
        pass
    assert desk() == "this identity is denied"
    trail = adopted.state.audit / "legacy.jsonl"
    adopted.end()
    assert '"reason":"IDENTITY_DENIED"' in trail.read_text()


def _caller(up: Up, name: str) -> Callable[[], bytes | str]:
    """Asks as a workload: the answer, or why not."""
    source = FileSource(up.state.identity(name), up.state.trust)
    credentials = channel_credentials(source, LEGACY)
    address = up.running.services["legacy"][0].address

    def ask() -> bytes | str:
        opened = grpc.secure_channel(address, credentials, options=channel_options(LEGACY))
        with cast("Any", opened) as channel:
            call = channel.unary_unary("/acme.legacy.v1.LegacyService/Ask")
            try:
                answer: bytes = call(b"", timeout=30, wait_for_ready=True)
            except grpc.RpcError as error:
                return str(error.details()).partition(": ")[2]
        return answer

    return ask
