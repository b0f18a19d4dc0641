"""Workloads in Go with go-spiffe and in Python, in one mesh that `meshpact up` runs, step by step.

The steps stand in the order in which they are taken: the tests take them, and the claim does.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import grpc

import upmesh
from demo.v1 import demo_mesh, demo_pb2
from meshpact.certs.ca import LocalCA, write_svid
from meshpact.certs.jwtsvid import JwtBundle, verify_jwt_svid
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.clients import Channel, ChannelSync
from meshpact.clients.errors import CallError
from meshpact.servers.workloadapi.place import Place
from reports import Report, Reports

DOMAIN: Final = TrustDomain("demo.example")
AUDIENCE: Final = "the-till"
SETTLE: Final = ("--wait", "40s", "--settle", "6s")
MESH: Final = """\
trust_domain: demo.example
services:
  alpha: {{factory: "toy:create"}}
  gopher: {{command: [{peer}, serve, {socket}]}}
  goclient: {{command: [{peer}, call, {socket}, alpha], address: ""}}
  gostranger: {{command: [{peer}, call, {socket}, alpha], address: ""}}
  gotoken: {{command: [{peer}, jwt, {socket}, {audience}], address: ""}}
  caller: {{}}
  stranger: {{}}
roles:
  demo.caller: {{workloads: [caller, goclient]}}
# A client in Go stays on its connection, and with the certificate that this began with, until the
# server ends it. A root may be retired after that, and no sooner: see SETTLE.
limits: {{max_connection_age: 2s}}
issuers:
  - {{issuer: "https://issuer.demo.example", file: .meshpact/issuers/local/jwks.json,
     audiences: [demo]}}
"""


class Scenario:
    """The running mesh, and what its processes in Go tell."""

    def __init__(self, home: Path, peer: Path, up: upmesh.Up, reports: Reports) -> None:
        self.home = home
        self.peer = peer
        self.up = up
        self.reports = reports

    def a_go_client_calls_a_guarded_python_server(self) -> None:
        answer = self.reports.wait("goclient", "called")
        assert (answer["code"], answer["text"]) == ("OK", "hello"), answer

    def a_go_client_without_the_role_is_refused_with_the_reason(self) -> None:
        answer = self.reports.wait("gostranger", "called")
        assert (answer["code"], answer.get("reason")) == ("PermissionDenied", "ROLE_MISSING")

    def python_clients_call_a_go_server_which_knows_them(self) -> None:
        self.python_calls_go()

    def a_go_server_refuses_a_workload_that_it_does_not_know(self) -> None:
        try:
            self.echo("stranger")
        except CallError as error:
            assert error.code is grpc.StatusCode.UNAVAILABLE, error
        else:
            raise AssertionError("the Go server let a stranger in")

    def go_validates_the_jwt_svid_that_it_fetched(self) -> None:
        token = self.reports.wait("gotoken", "token")["text"]
        for event in ("validated here", "validated there"):
            right, wrong = self.reports.of("gotoken", event)
            assert right["id"] == str(self.id("gotoken")), right
            assert (right["text"], "error" in right) == (AUDIENCE, False)
            assert (wrong["text"], "error" in wrong) == ("another", True)
        keys = (self.up.state.jwt / "keys.json").stat()
        assert keys.st_mode & 0o077 == 0
        svid = verify_jwt_svid(token, AUDIENCE, {str(DOMAIN): self.jwt_bundle()}, time.time())
        assert svid.id == self.id("gotoken")

    def a_process_that_up_did_not_start_gets_no_identity(self) -> None:
        address = Place.of(self.up.state).address
        subprocess.run(
            [self.peer, "fetch", self.reports.path],
            env={**os.environ, "SPIFFE_ENDPOINT_SOCKET": address, "MESHPACT_SERVICE": "foreign"},
            check=True,
            timeout=30,
        )
        answer = self.reports.wait("foreign", "fetched")
        assert "PermissionDenied" in answer["error"], answer

    def new_leaves_reach_go_and_no_call_is_lost(self) -> None:
        before = self.reports.mark()
        ca = LocalCA.load(self.up.state.ca)
        for name in ("goclient", "gopher"):
            svid = ca.issue(self.id(name))
            write_svid(self.up.state.identity(name), svid)
            self.follows(name, f"{svid.serial:x}", before)
        self.python_calls_go()
        self.goes_on("goclient")
        self.nothing_was_lost()

    def a_new_ca_reaches_go_and_no_call_is_lost(self) -> None:
        before = self.reports.mark()
        self.rotate("prepare")
        self.told("gopher", before, lambda report: report["roots"] == 2)
        self.rotate("activate", *SETTLE)
        for name in ("goclient", "gopher"):
            leaf = self.told(name, before, lambda report: self.is_of_the_new_root(report["serial"]))
            self.follows(name, leaf["serial"], before)
        self.rotate("retire", *SETTLE)
        self.told("gopher", before, lambda report: report["roots"] == 1)
        self.python_calls_go()
        self.goes_on("goclient")
        self.nothing_was_lost()

    def python_calls_go(self) -> None:
        said = f"hello for {self.id('caller')}"
        assert self.echo("caller") == said
        assert asyncio.run(self.echo_aio("caller")) == said

    def follows(self, name: str, serial: str, since: int) -> None:
        """Waits until a process in Go holds a leaf, and calls with it if it is one that calls."""
        self.told(name, since, lambda report: report["serial"] == serial)
        if name == "goclient":
            self.called(
                name, since, lambda report: report["serial"] == serial and "fresh" in report
            )

    def goes_on(self, name: str, calls: int = 80) -> None:
        """Waits until a process in Go has made further calls, over seconds: enough for servers to
        take up all that was written."""
        since = self.reports.mark()
        self.called(name, since, lambda _: len(self.reports.of(name, "called", since)) >= calls)

    def told(self, name: str, since: int, holds: Callable[[Report], bool]) -> Report:
        return self.reports.wait(name, "identity", holds, since)

    def called(self, name: str, since: int, holds: Callable[[Report], bool]) -> Report:
        return self.reports.wait(name, "called", holds, since)

    def nothing_was_lost(self) -> None:
        calls = self.reports.of("goclient", "called")
        assert len(calls) > 4
        lost = [call for call in calls if call["code"] != "OK"]
        assert not lost, f"{len(lost)} of {len(calls)} calls were lost, at first: {lost[:5]}"

    def is_of_the_new_root(self, serial: str) -> bool:
        """Whether the leaf with this serial is one that the CA's signing root stands behind."""
        ca = LocalCA.load(self.up.state.ca)
        for name in ("goclient", "gopher"):
            svid = FileSource(self.up.state.identity(name), self.up.state.trust).current().svid
            if f"{svid.serial:x}" == serial:
                return ca.vouches_for(svid)
        return False

    def rotate(self, step: str, *options: str) -> None:
        done = upmesh.meshpact(self.home, "certs", "rotate", step, *options)
        assert done.returncode == 0, done.stdout + done.stderr

    def jwt_bundle(self) -> JwtBundle:
        """The public half of the keys that sign JWT-SVIDs."""
        from meshpact.certs.jwtauthority import JwtAuthority

        return JwtAuthority(self.up.state.jwt, DOMAIN, time.time()).bundle

    def id(self, name: str) -> SpiffeId:
        return SpiffeId.for_service(DOMAIN, name)

    def source(self, name: str) -> FileSource:
        return FileSource(self.up.state.identity(name), self.up.state.trust)

    @property
    def gopher(self) -> str:
        return self.up.running.services["gopher"][0].address

    def echo(self, name: str) -> str:
        """What the Go server answers a Python client on a new connection."""
        channel = ChannelSync(self.gopher, identity=self.source(name), callee=self.id("gopher"))
        with channel:
            client = demo_mesh.DemoServiceClientSync(channel)
            return client.echo(demo_pb2.EchoRequest(text="hello")).text

    async def echo_aio(self, name: str) -> str:
        channel = Channel(self.gopher, identity=self.source(name), callee=self.id("gopher"))
        async with channel:
            client = demo_mesh.DemoServiceClient(channel)
            return (await client.echo(demo_pb2.EchoRequest(text="hello"))).text


STEPS: Final[tuple[Callable[[Scenario], None], ...]] = (
    Scenario.a_go_client_calls_a_guarded_python_server,
    Scenario.a_go_client_without_the_role_is_refused_with_the_reason,
    Scenario.python_clients_call_a_go_server_which_knows_them,
    Scenario.a_go_server_refuses_a_workload_that_it_does_not_know,
    Scenario.go_validates_the_jwt_svid_that_it_fetched,
    Scenario.a_process_that_up_did_not_start_gets_no_identity,
    Scenario.new_leaves_reach_go_and_no_call_is_lost,
    Scenario.a_new_ca_reaches_go_and_no_call_is_lost,
)


@contextmanager
def running(peer: Path) -> Generator[Scenario]:
    """The mesh, for as long as the `with` lasts."""
    with tempfile.TemporaryDirectory(prefix="meshpact-go-") as folder:
        home = Path(folder)
        reports = Reports(home / "reports.sock")
        upmesh.write_mesh(home, MESH.format(peer=peer, socket=reports.path, audience=AUDIENCE))
        try:
            with upmesh.Up(home) as up:
                yield Scenario(home, peer, up.ready(), reports)
        finally:
            reports.close()


def words(step: Callable[[Scenario], None]) -> str:
    """A step as a sentence."""
    return re.sub("_", " ", step.__name__)
