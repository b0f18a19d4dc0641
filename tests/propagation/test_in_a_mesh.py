"""What a service gets from mesh.yaml: channels that know whose tokens a callee takes."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from demo.v1 import relay_mesh
from demo.v1 import relay_pb2 as pb
from meshpact.clients import CallError
from meshpact.interceptors.assemble import guard_for
from meshpact.interceptors.call import Call, Caller, CallInfo, EndUser, current_call
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import load
from meshpact.mesh.state import State
from meshpact.servers import Drain, Server
from meshpact.servers.context import ServiceContext
from meshpact.servers.supervisor.identities import Identities
from propagation.issuer import CLIENT, SECRET, ExchangingIssuer
from propagation.stage import WARD_AUDIENCE
from relayservice import Ward


def write_mesh(folder: Path, issuer: ExchangingIssuer, **further: object) -> Path:
    entry = {
        "issuer": issuer.issuer.name,
        "file": str(issuer.issuer.write_jwks(folder / "jwks.json")),
        "audiences": ["all"],
        "algorithms": ["ES256"],
    }
    content = {
        "trust_domain": "demo.test",
        "services": {"ward": {"audience": WARD_AUDIENCE}, "relay": {}},
        "roles": {"demo.caller": {"workloads": ["relay"]}},
        "issuers": [entry | further],
    }
    path = folder / "mesh.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def exchanging(tmp_path: Path, issuer: ExchangingIssuer) -> Path:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(SECRET)
    return write_mesh(
        tmp_path,
        issuer,
        client_id=CLIENT,
        client_secret_file=str(secret),
        token_endpoint=issuer.url,
    )


class Handling:
    """As inside a handler: a call of an end user is served here."""

    def __init__(self, issuer: ExchangingIssuer, audience: str) -> None:
        user = EndUser(
            issuer=issuer.issuer.name,
            subject="ursula",
            audience=frozenset({audience}),
            scopes=frozenset({"demo.read"}),
            groups=frozenset(),
            expires=time.time() + 600,
        )
        token = issuer.issuer.mint("ursula", audience=[audience], scopes=["demo.read"])
        info = CallInfo(
            method=relay_mesh.RELAY_SERVICE_RELAY.path,
            policy=relay_mesh.RELAY_SERVICE_RELAY.policy,
            caller=Caller("spiffe://demo.test/caller", user),
            deadline=math.inf,
        )
        self._call = Call(info, token)

    def __enter__(self) -> None:
        self._token = current_call.set(self._call)

    def __exit__(self, *_: object) -> None:
        current_call.reset(self._token)


@pytest.fixture
def reached() -> list[str]:
    return []


async def call(
    mesh: Path, issuer: ExchangingIssuer, audience: str, reached: list[str], method: str
) -> pb.Seen:
    """Has the relay call the ward for a user whose token is for an audience."""
    config, state = load(mesh), State(mesh.parent / "state")
    Identities(config, state, lambda text: None).prepare()

    def context(service: str, **addresses: str) -> ServiceContext:
        return ServiceContext(
            config=config, service=service, state=state, root=mesh.parent, addresses=addresses
        )

    ward = context("ward")
    assembled = guard_for(
        config,
        "ward",
        identity=ward.identity,
        bindings=Reloader(mesh),
        audit_path=mesh.parent / "ward.jsonl",
    )
    server = Server(
        identity=ward.identity,
        guard=assembled.guard,
        drain=Drain(quiet=0.0, at_most=0.0, grace=0.0),
    )
    server.add(Ward(reached))
    await server.start()
    relay = context("relay", ward=server.address)
    try:
        client = relay_mesh.WardServiceClient(relay.channel("ward"))
        with Handling(issuer, audience):
            if method == "Confide":
                return (await client.confide(pb.ConfideRequest())).seen
            return (await client.ask(pb.AskRequest())).seen
    finally:
        await relay.aclose()
        await ward.aclose()
        await server.kill()
        assembled.close()


async def test_a_channel_of_the_mesh_exchanges_at_the_issuers_token_endpoint(
    exchanging: Path, issuer: ExchangingIssuer, reached: list[str]
) -> None:
    seen = await call(exchanging, issuer, "all", reached, "Confide")
    assert (seen.user, list(seen.audience)) == ("ursula", [WARD_AUDIENCE])
    assert (issuer.asked, issuer.faults) == ([WARD_AUDIENCE], [])


async def test_a_channel_of_the_mesh_knows_what_every_service_takes(
    exchanging: Path, issuer: ExchangingIssuer, reached: list[str]
) -> None:
    assert (await call(exchanging, issuer, "all", reached, "Ask")).user == "ursula"
    assert issuer.asked == []


async def test_a_channel_of_the_mesh_exchanges_a_token_that_is_for_the_caller_alone(
    exchanging: Path, issuer: ExchangingIssuer, reached: list[str]
) -> None:
    seen = await call(exchanging, issuer, "spiffe://demo.test/relay", reached, "Ask")
    assert list(seen.audience) == [WARD_AUDIENCE]


async def test_without_a_token_endpoint_the_call_fails_before_the_wire(
    tmp_path: Path, issuer: ExchangingIssuer, reached: list[str]
) -> None:
    mesh = write_mesh(tmp_path, issuer)
    with pytest.raises(CallError, match="token_endpoint") as caught:
        await call(mesh, issuer, "spiffe://demo.test/relay", reached, "Ask")
    assert caught.value.reason == "TOKEN_INVALID"
    assert reached == []


def test_who_exchanges_nothing_does_not_load_an_http_client(
    tmp_path: Path, issuer: ExchangingIssuer
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from meshpact.clients.meshforwarding import exchange_for, forwarding_to\n"
        "from meshpact.mesh.config import load\n"
        "config = load(Path(sys.argv[1]))\n"
        "assert exchange_for(config) is None\n"
        "forwarding_to(config, 'ward')\n"
        "print('httpx' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, write_mesh(tmp_path, issuer)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
