"""Demands of access hold on a real server: every shape, on asyncio and on threads."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import pytest

from guard.scripted import KEY, Script, message, path, servicer
from guard.situations import ALL_SHAPES, KINDS
from guard.watching import Watching
from meshpact.interceptors.metrics import WOULD_DENY
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import AUDIENCE, Kind, Workbench
from meshpact.testing.rawanswer import Answer
from meshpact.testing.roles import StaticRoles

BOTH = pb.Policy(
    access=pb.Access(
        workload_roles=["desk"], user_roles=["clerk", "chief"], end_user=pb.END_USER_REQUIRED
    )
)
SCOPED = pb.Policy(
    access=pb.Access(roles=["desk"], end_user=pb.END_USER_REQUIRED, scopes=["demo.write"])
)
ALLOWED: tuple[str, str, dict[str, str]] = ("OK", "", {})


@contextlib.contextmanager
def calling(
    kind: Kind, policy: pb.Policy, watching: Watching | None = None, **observed: list[str]
) -> Generator[tuple[Workbench, int]]:
    """A server whose methods have a policy; `desk` and `clerk` are held by whom the names say."""
    with Workbench() as bench:
        bench.roles = StaticRoles(
            {bench.id_of("desk"): ["desk"], bench.id_of("clerk"): ["clerk"]},
            users={"clerk": ["clerk"], "desk": ["desk"]},
            groups={"chiefs": ["chief"]},
            **observed,
        )
        script = Script()
        guard = bench.guard(**(watching.options if watching is not None else {}))
        overlay = {path(shape)[1:]: policy for shape in ALL_SHAPES}
        with bench.serving(
            kind, lambda: [servicer(kind, script)], guard=guard, overlay=overlay
        ) as port:
            yield bench, port


def call(
    bench: Workbench, port: int, shape: str, workload: str, user: str = "", *groups: str
) -> Answer:
    token = bench.issuer.mint(user, audience=[AUDIENCE], scopes=[], groups=list(groups))
    metadata = ((("authorization", f"Bearer {token}".encode()),)) if user else ()
    with bench.connect(port, workload) as wire:
        return wire.call(path(shape), message(shape, KEY), metadata)


def told(answer: Answer) -> tuple[str, str, dict[str, str]]:
    code = answer.code.name if answer.code is not None else "none"
    told = dict(answer.error_info.metadata) if answer.error_info is not None else {}
    return code, answer.reason, told


def missing(condition: str, roles: str) -> tuple[str, str, dict[str, str]]:
    return "PERMISSION_DENIED", "ROLE_MISSING", {"condition": condition, "roles": roles}


@pytest.mark.parametrize("kind", KINDS)
def test_a_role_of_the_workload_and_one_of_the_user_may_both_be_demanded(kind: Kind) -> None:
    no_workload, no_user = missing("workload_roles", "desk"), missing("user_roles", "chief, clerk")
    with calling(kind, BOTH) as (bench, port):
        for shape in ALL_SHAPES:
            assert told(call(bench, port, shape, "desk", "clerk")) == ALLOWED
            assert told(call(bench, port, shape, "desk", "anna", "chiefs")) == ALLOWED
            assert told(call(bench, port, shape, "desk", "anna", "guests")) == no_user
            assert told(call(bench, port, shape, "clerk", "clerk")) == no_workload
            assert told(call(bench, port, shape, "clerk", "desk")) == no_workload, (
                "a role of the user is none of the workload"
            )
            assert told(call(bench, port, shape, "desk", "desk")) == no_user
            assert told(call(bench, port, shape, "desk"))[1] == "TOKEN_MISSING"


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_under_observation_lets_through_what_access_would_refuse(kind: Kind) -> None:
    watching = Watching()
    method = path("unary")[1:]
    with calling(kind, SCOPED, watching, observed_methods=[method]) as (bench, port):
        assert told(call(bench, port, "unary", "clerk", "anna")) == ALLOWED
        assert told(call(bench, port, "unary", "desk", "anna")) == ALLOWED
        assert told(call(bench, port, "server", "desk", "anna"))[1] == "SCOPE_MISSING"
        assert told(call(bench, port, "unary", "clerk"))[1] == "TOKEN_MISSING", (
            "tokens are never observed only"
        )
        lines = watching.wait(f"/{method}", 3)
    assert [(line.decision, line.check, line.reason, line.code) for line in lines] == [
        ("would_deny", "access", "ROLE_MISSING", "OK"),
        ("would_deny", "access", "SCOPE_MISSING", "OK"),
        ("deny", "token", "TOKEN_MISSING", "UNAUTHENTICATED"),
    ]
    assert counted(watching) == {(method, "ROLE_MISSING"): 1, (method, "SCOPE_MISSING"): 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_role_under_observation_lets_through_who_lacks_it_in_every_shape(kind: Kind) -> None:
    watching = Watching()
    policy = pb.Policy(access=pb.Access(workload_roles=["desk"]))
    with calling(kind, policy, watching, observed=["desk"]) as (bench, port):
        for shape in ALL_SHAPES:
            # The second call is judged by what is remembered of the first.
            with bench.connect(port, "clerk") as wire:
                for _ in range(2):
                    assert told(wire.call(path(shape), message(shape, KEY))) == ALLOWED
            lines = watching.wait(path(shape), 2)
            assert [line.decision for line in lines] == ["would_deny"] * 2
    assert counted(watching) == {(path(shape)[1:], "ROLE_MISSING"): 2 for shape in ALL_SHAPES}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_handler_answers_under_observation_is_not_taken_for_a_refusal(kind: Kind) -> None:
    watching = Watching()
    policy = pb.Policy(access=pb.Access(roles=["desk"]), audit=pb.Audit(level=pb.AUDIT_LEVEL_ALL))
    with calling(kind, policy, watching, observed=["desk"]) as (bench, port):
        with bench.connect(port, "clerk") as wire:
            answer = wire.call(path("unary"), message("unary", KEY)[:-1] + b"\xff")
        assert answer.code is not None
        (line,) = watching.wait(path("unary"))
    assert (line.decision, line.check) == ("deny", "message")


def counted(watching: Watching) -> dict[tuple[str, str], int]:
    return {
        (sample.labels["rpc_method"], sample.labels["reason"]): int(sample.value)
        for family in watching.registry.collect()
        for sample in family.samples
        if sample.name == f"{WOULD_DENY}_total"
    }
