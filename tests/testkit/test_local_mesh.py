"""The test kit: a mesh of mesh.yaml in one process, with real TLS and issued identities."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import upmesh
from demo.v1 import demo_mesh, demo_pb2
from demo.v1.demo_mesh import DemoServiceClient, DemoServiceClientSync
from demoservice import Demo
from meshpact.certs.issuer import Issuer
from meshpact.clients import CallError
from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import Code
from meshpact.testing.blocking import BlockingMesh
from meshpact.testing.mesh import LocalMesh
from meshpact.testing.plugin import NewMesh
from meshpact.testing.standin import stand_in

ECHO = "demo.v1.DemoService/Echo"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    upmesh.write_mesh(tmp_path)
    return tmp_path


def demo_of(home: Path, demo: Demo | None = None) -> LocalMesh:
    """The demo's mesh, not entered yet, with a servicer that the test holds."""
    return LocalMesh(home / "mesh.yaml", state=home / "state", servicers={"alpha": demo or Demo()})


def echo(text: str = "hello") -> demo_pb2.EchoRequest:
    return demo_pb2.EchoRequest(text=text)


async def test_a_factory_of_mesh_yaml_answers_under_the_guard(
    home: Path, local_mesh: NewMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(home)])
    async with local_mesh(home / "mesh.yaml") as mesh:
        said = await mesh.client(DemoServiceClient, as_="caller").echo(echo())
        assert said.text == "hello"
        with pytest.raises(CallError) as refused:
            await mesh.client(DemoServiceClient, as_="stranger").echo(echo())
    assert (refused.value.code, refused.value.reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")


async def test_all_four_shapes_go_through(home: Path) -> None:
    async def numbers() -> AsyncIterator[demo_pb2.SumRequest]:
        for number in (1, 2, 3):
            yield demo_pb2.SumRequest(number=number)

    async def words() -> AsyncIterator[demo_pb2.ChatRequest]:
        yield demo_pb2.ChatRequest(text="a")
        yield demo_pb2.ChatRequest(text="b")

    async with demo_of(home) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        assert (await client.echo(echo("x"))).text == "x"
        counted = [each.number async for each in client.count(demo_pb2.CountRequest(to=3))]
        assert counted == [1, 2, 3]
        assert (await client.sum(numbers())).sum == 6
        assert [each.text async for each in client.chat(words())] == ["a", "b"]


async def test_errors_of_the_contract_arrive_as_their_classes(home: Path) -> None:
    async with demo_of(home) as mesh:
        with pytest.raises(demo_mesh.BadWord) as refused:
            await mesh.client(DemoServiceClient, as_="caller").echo(echo("bad"))
    assert refused.value.word == "bad"


async def test_a_token_makes_the_end_user_and_time_ends_it(home: Path) -> None:
    async with demo_of(home) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        token = mesh.token("user-1", scopes=["demo.read"], lifetime=600)
        who = await client.who_am_i(demo_pb2.WhoAmIRequest(), token=token)
        assert who.user == "user-1"
        mesh.clock.advance(601)
        with pytest.raises(CallError) as refused:
            await client.who_am_i(demo_pb2.WhoAmIRequest(), token=token)
        assert refused.value.reason == "TOKEN_EXPIRED"
        fresh = mesh.token("user-1", scopes=["demo.read"])
        assert (await client.who_am_i(demo_pb2.WhoAmIRequest(), token=fresh)).user == "user-1"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"scopes": []}, "SCOPE_MISSING"),
        ({"scopes": ["demo.read"], "audience": "others"}, "TOKEN_INVALID"),
        ({"scopes": ["demo.read"], "lifetime": -1}, "TOKEN_EXPIRED"),
        ({"scopes": ["demo.read"], "claims": {"sub": None}}, "TOKEN_INVALID"),
    ],
)
async def test_tokens_that_go_wrong_are_refused_by_their_reason(
    home: Path, options: dict[str, Any], reason: str
) -> None:
    async with demo_of(home) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        with pytest.raises(CallError) as refused:
            token = mesh.token("user-1", **options)
            await client.who_am_i(demo_pb2.WhoAmIRequest(), token=token)
    assert refused.value.reason == reason


async def test_a_rate_limit_is_met_at_once_and_left_by_moving_the_clock(home: Path) -> None:
    async with demo_of(home) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        for _ in range(2):
            await client.knock(demo_pb2.KnockRequest())
        with pytest.raises(CallError) as refused:
            await client.knock(demo_pb2.KnockRequest())
        assert refused.value.reason == "RATE_LIMITED"
        mesh.clock.advance(60)
        await client.knock(demo_pb2.KnockRequest())


async def test_time_can_stand_still_so_that_any_number_of_calls_meets_a_limit(home: Path) -> None:
    async with demo_of(home) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        with mesh.clock.still():
            stood = mesh.clock.monotonic(), mesh.clock.time()
            for _ in range(2):
                await client.knock(demo_pb2.KnockRequest())
            with pytest.raises(CallError) as refused:
                await client.knock(demo_pb2.KnockRequest())
            assert (mesh.clock.monotonic(), mesh.clock.time()) == stood
            mesh.clock.advance(60)
            assert mesh.clock.monotonic() == stood[0] + 60
            await client.knock(demo_pb2.KnockRequest())
        assert mesh.clock.monotonic() > stood[0] + 60
    assert refused.value.reason == "RATE_LIMITED"


async def test_a_maximum_deadline_passes_by_moving_the_clock(home: Path) -> None:
    demo = Demo()
    async with demo_of(home, demo) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        held = asyncio.create_task(client.hold(demo_pb2.HoldRequest(milliseconds=-1), timeout=3600))
        await demo.running.wait()
        mesh.clock.advance(31)
        with pytest.raises(CallError) as refused:
            await held
    assert refused.value.reason == "DEADLINE_MAXIMUM"


async def test_a_sleep_of_a_handler_ends_by_moving_the_clock(home: Path) -> None:
    demo = Demo()
    async with demo_of(home, demo) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        held = asyncio.create_task(client.hold(demo_pb2.HoldRequest(milliseconds=19_000)))
        await demo.running.wait()
        mesh.clock.advance(19)
        await held
    assert demo.how == "done"


async def test_a_clock_does_not_go_back(home: Path) -> None:
    async with demo_of(home) as mesh:
        with pytest.raises(ValueError, match="advanced by 0 or more"):
            mesh.clock.advance(-1)


async def test_the_loop_has_its_own_time_back_afterwards(home: Path) -> None:
    loop = asyncio.get_running_loop()
    async with demo_of(home) as mesh:
        before = loop.time()
        mesh.clock.advance(1000)
        assert loop.time() >= before + 1000
    assert loop.time() < before + 1000


async def test_a_fault_takes_the_place_of_the_handler_once(home: Path) -> None:
    demo = Demo()
    async with demo_of(home, demo) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        mesh.faults.fail("demo.v1.DemoService/Echo", demo_mesh.OutOfBreath())
        with pytest.raises(demo_mesh.OutOfBreath):
            await client.echo(echo())
        assert demo.calls == []
        assert (await client.echo(echo())).text == "hello"


async def test_an_idempotent_call_is_tried_again_after_a_lost_connection(home: Path) -> None:
    demo = Demo()
    async with demo_of(home, demo) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        mesh.faults.lose_answer(ECHO)
        assert (await client.echo(echo())).text == "hello"
    assert demo.calls == ["Echo", "Echo"]


async def test_an_answer_that_is_lost_leaves_its_effect(home: Path) -> None:
    demo = Demo()
    async with demo_of(home, demo) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        mesh.faults.lose_answer("demo.v1.DemoService/Confess")
        with pytest.raises(CallError) as lost:
            await client.confess(demo_pb2.ConfessRequest(words="x"))
    assert lost.value.code is Code.UNAVAILABLE
    assert demo.calls == ["Confess"]


async def test_a_stream_can_be_cut_after_its_last_message(home: Path) -> None:
    async with demo_of(home) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        mesh.faults.lose_answer("demo.v1.DemoService/Count")
        got: list[int] = []
        with pytest.raises(CallError):
            async for each in client.count(demo_pb2.CountRequest(to=2)):
                got.append(each.number)
    assert got == [1, 2]


async def test_a_held_call_waits_until_the_test_lets_it_on(home: Path) -> None:
    demo = Demo()
    async with demo_of(home, demo) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        held = mesh.faults.hold(ECHO)
        call = asyncio.create_task(client.echo(echo()))
        await held.arrived.wait()
        assert demo.calls == []
        held.release()
        assert (await call).text == "hello"


async def test_a_delay_goes_by_the_clock(home: Path) -> None:
    async with demo_of(home) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        held = mesh.faults.hold(ECHO)
        mesh.faults.delay(ECHO, 10)
        call = asyncio.create_task(client.echo(echo()))
        await held.arrived.wait()
        held.release()
        await call
        late = asyncio.create_task(client.echo(echo()))
        while not late.done():
            mesh.clock.advance(10)
            await asyncio.wait({late}, timeout=0.05)
        assert (await late).text == "hello"


async def test_faults_can_be_taken_back(home: Path) -> None:
    async with demo_of(home) as mesh:
        mesh.faults.fail(ECHO, demo_mesh.OutOfBreath(), times=5)
        mesh.faults.clear()
        assert (await mesh.client(DemoServiceClient, as_="caller").echo(echo())).text == "hello"


async def test_a_fault_on_an_unknown_method_is_refused_with_the_nearest(home: Path) -> None:
    async with demo_of(home) as mesh:
        with pytest.raises(ValueError, match=r"Did you mean demo\.v1\.DemoService/Echo"):
            mesh.faults.fail("demo.v1.DemoService/Ecko")


async def test_a_service_that_was_stopped_comes_back_where_it_was(home: Path) -> None:
    async with demo_of(home) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        await client.echo(echo())
        where = mesh.addresses["alpha"]
        await mesh.stop("alpha")
        with pytest.raises(CallError) as lost:
            await client.confess(demo_pb2.ConfessRequest(words="x"), timeout=5)
        assert lost.value.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
        await mesh.start("alpha")
        assert mesh.addresses["alpha"] == where
        # Not tried again by itself: the connection must be there.
        await client.confess(demo_pb2.ConfessRequest(words="x"))
        assert (await mesh.client(DemoServiceClient, as_="caller").echo(echo())).text == "hello"


async def test_a_service_that_was_left_out_starts_later(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(home)])
    async with LocalMesh(home / "mesh.yaml", state=home / "state", services=[]) as mesh:
        assert mesh.addresses == {}
        with pytest.raises(ValueError, match="service: caller has no factory"):
            await mesh.start("caller")
        await mesh.start("alpha")
        client = mesh.client(DemoServiceClient, as_="caller")
        assert (await client.echo(echo())).text == "hello"


async def test_keys_of_an_issuer_that_is_kept_are_those_in_the_state_of_the_mesh(
    home: Path,
) -> None:
    name = "https://issuer.demo.example"
    async with LocalMesh(
        home / "mesh.yaml",
        state=home / "state",
        servicers={"alpha": Demo()},
        keep_issuers=[name],
    ) as mesh:
        issuer = Issuer.load(mesh.state.issuer)
        token = issuer.mint("user-1", audience="demo", scopes=["demo.read"], issuer=name)
        client = mesh.client(DemoServiceClient, as_="caller")
        assert (await client.who_am_i(demo_pb2.WhoAmIRequest(), token=token)).user == "user-1"


async def test_the_audit_trail_can_be_read_while_it_grows(home: Path) -> None:
    async with demo_of(home) as mesh:
        with pytest.raises(CallError):
            await mesh.client(DemoServiceClient, as_="stranger").echo(echo())
        lines = await mesh.audit("alpha")
    assert [line["reason"] for line in lines if line.get("decision") == "deny"] == ["ROLE_MISSING"]


async def test_names_that_mesh_yaml_does_not_have_are_refused_with_those_it_has(
    home: Path,
) -> None:
    with pytest.raises(ValueError, match=r"services: found 'alfa'; mesh\.yaml has: alpha"):
        LocalMesh(home / "mesh.yaml", state=home / "state", services=["alfa"])
    with pytest.raises(ValueError, match="caller has no factory"):
        LocalMesh(home / "mesh.yaml", state=home / "state", services=["caller"])
    async with demo_of(home) as mesh:
        with pytest.raises(ValueError, match="as_: found 'nobody'"):
            mesh.client(DemoServiceClient, as_="nobody")
        with pytest.raises(ValueError, match="issuer: found 'elsewhere'"):
            mesh.token("user-1", issuer="elsewhere")
        with pytest.raises(ValueError, match="beta does not run"):
            await mesh.stop("beta")
        await mesh.stop("alpha")
        with pytest.raises(ValueError, match="is no generated client"):
            mesh.client(Demo, as_="caller")  # type: ignore[arg-type]


def test_tests_without_asyncio_use_blocking_clients(home: Path) -> None:
    with BlockingMesh(demo_of(home)) as mesh:
        client = mesh.client(DemoServiceClientSync, as_="caller")
        assert client.echo(echo()).text == "hello"
        assert [each.number for each in client.count(demo_pb2.CountRequest(to=2))] == [1, 2]
        assert client.sum(iter([demo_pb2.SumRequest(number=2)])).sum == 2
        words = [demo_pb2.ChatRequest(text="a"), demo_pb2.ChatRequest(text="b")]
        assert [each.text for each in client.chat(iter(words))] == ["a", "b"]
        mesh.faults.fail(ECHO, demo_mesh.OutOfBreath())
        with pytest.raises(demo_mesh.OutOfBreath):
            client.echo(echo())
        token = mesh.token("user-1", scopes=["demo.read"])
        assert client.who_am_i(demo_pb2.WhoAmIRequest(), token=token).user == "user-1"
        mesh.clock.advance(601)
        with pytest.raises(CallError):
            client.who_am_i(demo_pb2.WhoAmIRequest(), token=token)
        with pytest.raises(CallError):
            mesh.client(DemoServiceClientSync, as_="stranger").echo(echo())
        assert [line["reason"] for line in mesh.audit("alpha") if line.get("reason")] == [
            "TOKEN_EXPIRED",
            "ROLE_MISSING",
        ]
        mesh.stop("alpha")
        with pytest.raises(CallError):
            client.confess(demo_pb2.ConfessRequest(words="x"), timeout=5)
        mesh.start("alpha")
        client.confess(demo_pb2.ConfessRequest(words="x"))
        assert mesh.client(DemoServiceClientSync, as_="caller").echo(echo()).text == "hello"


async def test_a_stand_in_answers_what_it_was_given_and_nothing_else(home: Path) -> None:
    async def say(request: demo_pb2.EchoRequest, call: Call, /) -> demo_pb2.EchoResponse:
        return demo_pb2.EchoResponse(text=request.text.upper())

    servicer = stand_in(demo_mesh.DemoServiceBase, echo=say)
    async with LocalMesh(
        home / "mesh.yaml", state=home / "state", servicers={"alpha": servicer}
    ) as mesh:
        client = mesh.client(DemoServiceClient, as_="caller")
        assert (await client.echo(echo())).text == "HELLO"
        with pytest.raises(CallError) as unary:
            await client.confess(demo_pb2.ConfessRequest(words="x"))
        with pytest.raises(CallError) as streaming:
            _ = [each async for each in client.count(demo_pb2.CountRequest(to=1))]
    assert unary.value.code is streaming.value.code is Code.UNIMPLEMENTED


def test_a_stand_in_for_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"has no method 'ecko'\. Did you mean echo\?"):
        stand_in(demo_mesh.DemoServiceBase, ecko=print)
