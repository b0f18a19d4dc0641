"""A mesh whose identities come from elsewhere: mounted files, an agent, a federated domain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from csimount import CsiMount
from demo.v1 import demo_mesh, demo_pb2
from fakeagent import FakeAgent, response
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import format_document
from meshpact.certs.ca import LocalCA
from meshpact.certs.source import FixedSource, Identity
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.svid import X509Svid
from meshpact.clients import CallError, ChannelSync
from upmesh import MESH, Up, meshpact, write_mesh

DOMAIN = "demo.example"
NAMES = ("alpha", "caller", "stranger")
CALL = ("call", "demo.v1.DemoService/Echo", "-d", '{"text": "hello"}', "--as", "caller")


class Elsewhere:
    """A CA that this mesh knows nothing of, and the identities it issued."""

    def __init__(self, root: Path) -> None:
        self.ca = LocalCA.init(root / "their-ca", DOMAIN)

    def issue(self, name: str, left: timedelta = timedelta(hours=1)) -> X509Svid:
        now = datetime.now(UTC) - (timedelta(hours=1) - left)
        return self.ca.issue(SpiffeId.for_service(DOMAIN, name), now=now)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path)


def test_a_mesh_runs_on_mounted_identities_and_says_when_one_nears_its_end(
    tmp_path: Path, elsewhere: Elsewhere
) -> None:
    mounts = {name: CsiMount(tmp_path / "mounts" / name) for name in NAMES}
    for name, mount in mounts.items():
        mount.write(elsewhere.issue(name), elsewhere.ca.bundle)
    metrics = "telemetry: {metrics_address: '127.0.0.1:0'}\n"
    write_mesh(tmp_path, MESH + "identity: {files: mounts}\n" + metrics)
    with Up(tmp_path) as up:
        assert "mounts/caller/tls.key" in up.until("grpcurl")
        up.ready()
        answer = meshpact(tmp_path, *CALL)
        assert (answer.returncode, '"hello"' in answer.stdout) == (0, True), answer.stderr
        mounts["alpha"].write(elsewhere.issue("alpha", timedelta(minutes=15)), elsewhere.ca.bundle)
        assert "expires in 14 minutes" in up.until("service alpha: its identity expires")
        new = elsewhere.issue("alpha")
        mounts["alpha"].write(new, elsewhere.ca.bundle)
        up.until("service alpha: its identity was renewed")
        page = httpx.get(f"http://{up.running.services['alpha'][0].metrics}/metrics").text
        found = re.search(r"^meshpact_identity_expiry_timestamp_seconds (.+)$", page, re.MULTILINE)
        assert found is not None
        assert float(found[1]) == new.not_after
        answer = meshpact(tmp_path, *CALL)
        assert (answer.returncode, '"hello"' in answer.stdout) == (0, True), answer.stderr


def test_the_mounted_identity_of_another_workload_stops_the_start(
    tmp_path: Path, elsewhere: Elsewhere
) -> None:
    CsiMount(tmp_path / "mounts").write(elsewhere.issue("caller"), elsewhere.ca.bundle)
    write_mesh(tmp_path, MESH + "identity: {files: mounts}\n")
    with Up(tmp_path) as up:
        code, _ = up.finished()
    assert code == 1
    assert "this process is to be spiffe://demo.example/alpha" in up.words
    assert "Traceback" not in up.words


@pytest.fixture
def agent(tmp_path: Path, elsewhere: Elsewhere) -> Iterator[FakeAgent]:
    with FakeAgent(tmp_path / "agent.sock") as made:
        svids = [elsewhere.issue(name) for name in NAMES]
        made.push(response(svids, elsewhere.ca.bundle))
        yield made


def test_a_mesh_runs_on_identities_from_a_workload_api(
    tmp_path: Path, agent: FakeAgent, elsewhere: Elsewhere
) -> None:
    write_mesh(tmp_path, MESH + f"identity: {{workload_api: '{agent.address}'}}\n")
    with Up(tmp_path) as up:
        up.until("comes from a Workload API, not from files")
        up.ready()
        for _ in range(2):
            answer = meshpact(tmp_path, *CALL)
            assert (answer.returncode, '"hello"' in answer.stdout) == (0, True), answer.stderr
            svids = [elsewhere.issue(name) for name in NAMES]
            agent.push(response(svids, elsewhere.ca.bundle))
        line = meshpact(tmp_path, *CALL, "--print-grpcurl")
        assert (line.returncode, "Traceback" in line.stderr) == (2, False), line.stderr


def test_a_workload_api_that_is_not_there_stops_the_start_in_words(tmp_path: Path) -> None:
    write_mesh(tmp_path, MESH + f"identity: {{workload_api: 'unix://{tmp_path}/no.sock'}}\n")
    with Up(tmp_path) as up:
        code, _ = up.finished()
    assert code == 1
    assert f"there is no socket at {tmp_path}/no.sock" in up.words
    assert "Traceback" not in up.words


def test_a_workload_of_a_federated_domain_is_known_and_a_forged_one_is_not(tmp_path: Path) -> None:
    partner = LocalCA.init(tmp_path / "partner-ca", "partner.example")
    intruder = LocalCA.init(tmp_path / "intruder-ca", "partner.example")
    (tmp_path / "partner.json").write_bytes(format_document(partner.bundle, sequence=1))
    text = MESH.replace("workloads: [caller]}", "workloads: ['spiffe://partner.example/*']}", 1)
    write_mesh(tmp_path, text + "federation: {partner.example: {bundle: partner.json}}\n")
    with Up(tmp_path) as up:
        up.ready()
        trust = (tmp_path / ".meshpact" / "trust" / f"{DOMAIN}.pem").read_bytes()
        address = up.running.services["alpha"][0].address

        def call(ca: LocalCA) -> str:
            svid = ca.issue(SpiffeId.parse("spiffe://partner.example/shop"))
            identity = Identity(svid, {DOMAIN: TrustBundle.from_pem(DOMAIN, trust)})
            channel = ChannelSync(
                address,
                identity=FixedSource(identity),
                callee=SpiffeId.for_service(DOMAIN, "alpha"),
            )
            try:
                client = demo_mesh.DemoServiceClientSync(channel)
                return client.echo(demo_pb2.EchoRequest(text="hi"), timeout=30).text
            finally:
                channel.close()

        assert call(partner) == "hi"
        with pytest.raises(CallError):
            call(intruder)
