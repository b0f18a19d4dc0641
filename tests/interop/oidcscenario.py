"""What end users of a mesh live through with a real OpenID provider, step by step.

The mesh is two services of the relay contract, on asyncio and on threads, with guards as mesh.yaml
describes them; each step is held to both.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from demo.v1 import relay_pb2 as pb
from interop.oidcprovider import BOUND, MESH, OidcProvider, Person, Resource, Tls, TokenSet
from meshpact.certs.source import IdentitySource
from meshpact.clients import CallError
from meshpact.clients.meshforwarding import exchange_for, forwarding_to
from meshpact.interceptors import introspection, remote_keys
from meshpact.interceptors.assemble import guard_for
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import MeshConfig, load
from meshpact.testing.hosting import Kind, Workbench
from propagation.stage import CALLER, RELAY, WARD, WARD_AUDIENCE, Stage
from relayservice import SHAPES

DOMAIN: Final = "demo.test"
ALL: Final = "https://mesh.demo.test"
"""The audience that every service of the mesh takes."""
SHORT: Final = "https://short.demo.test"
"""Another one, of tokens that live for two seconds."""
OPAQUE: Final = "https://opaque.demo.test"
"""And one of opaque tokens."""
ELSEWHERE: Final = "https://elsewhere.example"
SLACK: Final = 10.0
"""Seconds beyond what Meshpact promises, for a machine with other things to do."""


class World:
    """The provider, the mesh on both kinds of server, and Ursula."""

    def __init__(self, provider: OidcProvider, stages: list[Stage], folder: Path) -> None:
        self.provider = provider
        self.stages = stages
        self.identity = stages[0].identity
        """The caller's, on both."""
        self.bench = stages[0].bench
        self.folder = folder
        self.ursula = Person(provider, "ursula")

    @functools.cached_property
    def revoked(self) -> tuple[str, float]:
        """An opaque token that was good until its grant was revoked, and when that was."""
        tokens = self.ursula.login(OPAQUE)
        for stage in self.stages:
            seen = asked(stage, tokens.access)
            assert (seen.user, list(seen.audience)) == ("ursula", [OPAQUE])
        self.ursula.revoke(tokens)
        return tokens.access, time.monotonic()

    @contextlib.contextmanager
    def desk(self) -> Generator[Person]:
        """Ursula at a program that shows the caller's certificate when it asks for tokens."""
        svid = self.identity.current().svid
        cert, key = self.folder / "caller.pem", self.folder / "caller-key.pem"
        cert.write_bytes(svid.chain_pem)
        key.write_bytes(svid.key_pem)
        trust = ssl.create_default_context(cadata=self.bench.authority.roots_pem.decode())
        trust.check_hostname = False  # it is reached by its address
        trust.load_cert_chain(cert, key)
        with httpx.Client(verify=trust, trust_env=False) as client:
            yield Person(self.provider, "ursula", client=BOUND, token_client=client)


@contextlib.contextmanager
def world(folder: Path, package: Path) -> Generator[World]:
    """All of it, running. `package` is where the provider is installed."""
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(Workbench(DOMAIN))
        provider = stack.enter_context(
            OidcProvider(
                package,
                {
                    ALL: Resource(),
                    SHORT: Resource(ttl=2),
                    OPAQUE: Resource(format="opaque"),
                    WARD_AUDIENCE: Resource(),
                    ELSEWHERE: Resource(),
                },
                _tls(bench, folder),
            )
        )
        config, mesh = _mesh(provider, folder)
        identity = bench.source(CALLER)
        kinds: tuple[Kind, ...] = ("aio", "sync")
        stages: list[Stage] = []
        for kind in kinds:
            guards: dict[str, Any] = {}
            for service in (WARD, RELAY):
                assembled = guard_for(
                    config,
                    service,
                    identity=bench.source(service),
                    bindings=Reloader(mesh),
                    audit_path=folder / f"{kind}-{service}.jsonl",
                )
                stack.callback(assembled.close)
                guards[f"{service}_guard"] = assembled.guard
            forwarding = forwarding_to(config, WARD, exchange_for(config))
            stage = Stage(bench, kind)
            stage.identity = identity
            stages.append(stack.enter_context(stage.running(forwarding, **guards)))
        made = World(provider, stages, folder)
        stack.callback(made.ursula.close)
        yield made


def _tls(bench: Workbench, folder: Path) -> Tls:
    svid = bench.source("issuer").current().svid
    tls = Tls(folder / "issuer.pem", folder / "issuer-key.pem", folder / "ca.pem")
    tls.cert.write_bytes(svid.chain_pem)
    tls.key.write_bytes(svid.key_pem)
    tls.ca.write_bytes(bench.authority.roots_pem)
    return tls


def _mesh(provider: OidcProvider, folder: Path) -> tuple[MeshConfig, Path]:
    secret = folder / "client-secret"
    secret.touch(0o600)
    secret.write_text(f"{provider.secret}\n")
    content = {
        "trust_domain": DOMAIN,
        "services": {WARD: {"audience": WARD_AUDIENCE}, RELAY: {}, CALLER: {}},
        "roles": {"demo.caller": {"workloads": [CALLER, RELAY]}},
        "issuers": [
            {
                "issuer": provider.issuer,
                "discovery": f"{provider.issuer}/.well-known/openid-configuration",
                "audiences": [ALL, SHORT, OPAQUE],
                "algorithms": ["ES256"],
                "client_id": MESH,
                "client_secret_file": str(secret),
                "introspection": f"{provider.issuer}/token/introspection",
                "token_endpoint": f"{provider.issuer}/token",
            }
        ],
    }
    mesh = folder / "mesh.yaml"
    mesh.write_text(yaml.safe_dump(content))
    return load(mesh), mesh


def asked(stage: Stage, token: str, identity: IdentitySource | None = None) -> pb.Seen:
    """What the ward sees of a caller with this token."""
    with stage.ward(identity) as ward:
        return ward.ask(pb.AskRequest(), token=token).seen


def refusal(
    stage: Stage, token: str, identity: IdentitySource | None = None, *, seal: bool = False
) -> str:
    """The reason why a call with this token is refused; "" when it is not."""
    try:
        with stage.ward(identity) as ward:
            if seal:
                ward.seal(pb.SealRequest(), token=token)
            else:
                ward.ask(pb.AskRequest(), token=token)
    except CallError as error:
        return error.reason or error.code.name
    return ""


def refused(world: World, token: str, reason: str) -> bool:
    """Whether both kinds of server refuse a token, for one reason."""
    return all(refusal(stage, token) == reason for stage in world.stages)


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits for something that others do in their own time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


def the_keys_are_found_by_discovery_alone(world: World) -> None:
    """The address of the metadata is all that mesh.yaml says of keys."""
    tokens = world.ursula.login(ALL)
    for stage in world.stages:
        assert refusal(stage, tokens.access) == ""


def a_user_who_logged_in_calls_and_is_passed_on(world: World) -> None:
    """Authorization code with PKCE, login, consent; then calls of all shapes, for her."""
    tokens = world.ursula.login(ALL)
    for stage in world.stages:
        seen = asked(stage, tokens.access)
        assert (seen.user, seen.workload) == ("ursula", world.bench.id_of(CALLER))
        for method in SHAPES:
            answer = stage.relay(method, tokens.access)
            assert (answer.reason, answer.seen.user) == ("", "ursula"), answer
            assert answer.seen.workload == world.bench.id_of(RELAY)
        assert not stage.relay("Plain", tokens.access).seen.token_sent


def a_token_without_the_scope_is_refused(world: World) -> None:
    """She consents to writing alone."""
    tokens = world.ursula.login(ALL, ["demo.write"])
    for stage in world.stages:
        assert refusal(stage, tokens.access) == "SCOPE_MISSING"


def an_id_token_is_refused(world: World) -> None:
    """It says who logged in, and is no leave to call."""
    tokens = world.ursula.login(ALL)
    for stage in world.stages:
        assert refusal(stage, tokens.identity) == "TOKEN_INVALID"


def a_token_for_another_audience_is_refused(world: World) -> None:
    """One that the same provider issues for somebody else's services."""
    tokens = world.ursula.login(ELSEWHERE)
    for stage in world.stages:
        assert refusal(stage, tokens.access) == "TOKEN_INVALID"


def an_expired_token_is_told_apart_and_refreshed(world: World) -> None:
    """TOKEN_EXPIRED says to the program: refresh. The new token works."""
    tokens = world.ursula.login(SHORT)
    for stage in world.stages:
        assert refusal(stage, tokens.access) in ("", "TOKEN_EXPIRED")
    short = tokens.access
    until(lambda: refused(world, short, "TOKEN_EXPIRED"), 2 + SLACK, "the token expires")
    for stage in world.stages:
        tokens = world.ursula.refresh(tokens)
        assert asked(stage, tokens.access).user == "ursula"


def a_token_is_exchanged_where_the_callee_takes_only_its_own(world: World) -> None:
    """RFC 8693, by the relay, at the provider."""
    tokens = world.ursula.login(ALL)
    for stage in world.stages:
        answer = stage.relay("Confide", tokens.access)
        assert (answer.reason, answer.seen.user) == ("", "ursula"), answer
        assert list(answer.seen.audience) == [WARD_AUDIENCE]


def a_bound_token_works_with_its_certificate_alone(world: World) -> None:
    """RFC 8705: neither with a later certificate of the same workload, nor passed on."""
    with world.desk() as desk:
        bound = desk.login(ALL)
    unbound = world.ursula.login(ALL)
    another = world.bench.source(CALLER)
    for stage in world.stages:
        assert asked(stage, bound.access).user == "ursula"
        assert refusal(stage, bound.access, seal=True) == ""
        assert refusal(stage, bound.access, another) == "TOKEN_BINDING_MISMATCH"
        assert refusal(stage, unbound.access, seal=True) == "TOKEN_BINDING_MISMATCH"
        assert stage.relay("Ask", bound.access).reason == "TOKEN_BINDING_MISMATCH"


def an_opaque_token_is_asked_about(world: World) -> None:
    """RFC 7662; and it is passed on like any other."""
    tokens = world.ursula.login(OPAQUE)
    for stage in world.stages:
        assert asked(stage, tokens.access).user == "ursula"
        assert stage.relay("Ask", tokens.access).seen.user == "ursula"
        assert refusal(stage, "nobody-issued-this") == "TOKEN_INVALID"
    assert world.revoked[0]


def keys_rotate(world: World) -> None:
    """New keys are found in bounded time, and those that were taken out count no more."""
    provider, ursula = world.provider, world.ursula

    def believed(tokens: TokenSet) -> bool:
        return all(refusal(stage, tokens.access) == "" for stage in world.stages)

    first = ursula.login(ALL)
    assert believed(first)
    provider.rotate()
    second = ursula.login(ALL)
    until(lambda: believed(second), remote_keys.COOLDOWN + SLACK, "a new key is found")
    assert believed(first)
    provider.rotate()
    provider.retire()
    third = ursula.login(ALL)
    until(lambda: believed(third), remote_keys.COOLDOWN + SLACK, "a new key is found")
    for stage in world.stages:
        for tokens in (first, second):
            assert refusal(stage, tokens.access) == "TOKEN_INVALID"


def a_revoked_grant_ends_its_tokens(world: World) -> None:
    """Noticed as late as an answer of the issuer is believed."""
    token, since = world.revoked
    limit = introspection.REMEMBERED + SLACK - (time.monotonic() - since)
    until(lambda: refused(world, token, "TOKEN_INVALID"), limit, "revocation is noticed")


STEPS: Final = (
    the_keys_are_found_by_discovery_alone,
    an_opaque_token_is_asked_about,
    a_user_who_logged_in_calls_and_is_passed_on,
    a_token_without_the_scope_is_refused,
    an_id_token_is_refused,
    a_token_for_another_audience_is_refused,
    an_expired_token_is_told_apart_and_refreshed,
    a_token_is_exchanged_where_the_callee_takes_only_its_own,
    a_bound_token_works_with_its_certificate_alone,
    keys_rotate,
    a_revoked_grant_ends_its_tokens,
)
"""In the order that waits least."""
