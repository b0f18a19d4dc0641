"""Judges the guard by the reference: the same calls, made for real, must be decided alike.

`run` is what the claim `oracle` measures and the tests assert.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random

from meshpact.testing.rawanswer import Answer
from meshpact.testing.rawwire import RawConnection, grpc_message
from oracle.callers import MESH, Bearer, Cast, Workload, malformed_metadata
from oracle.contracts import Contract, contracts
from oracle.reference import ALLOW, Caller, Decision, Past, Request, decide
from oracle.stage import SERVER_NAME, WAIT, Stage

KINDS = ("aio", "sync")
_CALLS = (1, 2, 2, 3, 4)
_CLEAN = Request(
    path_known=True,
    network_allowed=True,
    access_observed=False,
    authorization_twice=False,
    metadata_malformed=False,
    metadata_bytes=0,
    message_bytes=0,
    parses=True,
    valid=True,
)


@dataclass(frozen=True)
class Call:
    """One call of a plan: who calls with what, the bytes to send, and the facts about them."""

    workload: Workload
    bearer: Bearer
    path: str
    metadata: tuple[tuple[str, bytes], ...]
    message: bytes
    facts: Request
    gate: str = ""
    """The gate at which the call stays in its handler; "" for none."""

    @property
    def caller(self) -> Caller:
        """The facts about the caller."""
        workload = self.workload
        return Caller(workload.id, workload.certificate, workload.roles, self.bearer.facts)


@dataclass(frozen=True)
class Plan:
    """A method and the calls that are made of it, in order."""

    contract: Contract
    calls: tuple[Call, ...]
    open_door: bool


@dataclass(frozen=True)
class Disagreement:
    """A call that the guard decided otherwise than the reference."""

    kind: str
    plan: Plan
    index: int
    expected: Decision
    found: str

    def __str__(self) -> str:
        call = self.plan.calls[self.index]
        return (
            f"{self.kind}: {call.path!r} call {self.index}: expected {self.expected}, found "
            f"{self.found}\n  service: {_short(self.plan.contract.service_policy)}\n  method: "
            f"{_short(self.plan.contract.method_policy)}\n  caller: {call.caller}\n  "
            f"request: {call.facts}"
        )


@dataclass
class Report:
    """What a comparison found. `triples` counts (policy, caller, request), each made on aio and
    sync; `expected` counts the reference's decisions by reason."""

    triples: int = 0
    disagreements: list[Disagreement] = field(default_factory=list[Disagreement])
    expected: Counter[str] = field(default_factory=Counter[str])


Told = Callable[[Cast, Plan, Call, Answer], None]


def _unheard(cast: Cast, plan: Plan, call: Call, answer: Answer) -> None:
    """What nobody wants to be told."""


def run(count: int, seed: int) -> list[Disagreement]:
    """All disagreements over at least `count` triples generated from `seed`."""
    return compare(count, seed).disagreements


def compare(count: int, seed: int, told: Told = _unheard) -> Report:
    """The same with the counts. `told` gets each call with its answer."""
    random = Random(seed)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="meshpact-oracle-") as folder:
        services, methods = contracts(random, count // 2)
        closed = frozenset(m.spec.path for m in methods if random.random() < 0.06)
        observed = frozenset(m.spec.path for m in methods if random.random() < 0.06)
        cast = Cast(Path(folder), closed, observed)
        plans: list[Plan] = []
        for contract in methods:
            base = replace(
                _CLEAN,
                network_allowed=contract.spec.path not in closed,
                access_observed=contract.spec.path in observed,
            )
            plans.append(_plan(random, cast, contract, base))
            report.triples += len(plans[-1].calls)
        for kind in KINDS:
            for open_door in (False, True):
                chosen = [plan for plan in plans if plan.open_door is open_door]
                stage = Stage(cast, services, open_door=open_door)
                with stage.serving(kind) as port, _Wires(port) as wires:
                    for plan in chosen:
                        _perform(kind, plan, stage, wires, report, partial(told, cast))
    return report


def _plan(random: Random, cast: Cast, contract: Contract, base: Request) -> Plan:
    open_door = random.random() < 0.1
    calls: list[Call] = []
    for number in range(random.choice(_CALLS)):
        if calls and random.random() < 0.4:
            workload, bearer = calls[-1].workload, calls[-1].bearer
        else:
            workload, bearer = _caller(random, cast, contract, base, open_door=open_door)
        faults = random.choices((0, 1, 2), (6, 3, 1))[0]
        gate = f"gate-{number}" if not faults and random.random() < 0.4 else ""
        calls.append(_call(random, contract, workload, bearer, base, faults, gate))
    return Plan(contract, tuple(calls), open_door)


def _caller(
    random: Random, cast: Cast, contract: Contract, base: Request, *, open_door: bool
) -> tuple[Workload, Bearer]:
    """Anyone; in half of the cases somebody whom the reference lets in."""
    fitting = random.random() < 0.5
    workload, bearer = cast.nobody, cast.bearers[0]
    for _ in range(60):
        workload = cast.nobody if open_door else random.choice(cast.workloads)
        bearer = random.choice(cast.bearers)
        caller = Caller(workload.id, workload.certificate, workload.roles, bearer.facts)
        policies = contract.service_policy, contract.method_policy
        if not fitting or decide(*policies, caller, base, MESH, Past()) == ALLOW:
            break
    return workload, bearer


def _call(
    random: Random,
    contract: Contract,
    workload: Workload,
    bearer: Bearer,
    base: Request,
    faults: int,
    gate: str,
) -> Call:
    path, facts = contract.spec.path, base
    metadata = [("x-request", b"7")]
    if bearer.header:
        metadata.append(("authorization", bearer.header.encode()))
    ask = contract.spec.request(text="text", padding=b"." * random.choice((0, 0, 200)), hold=gate)
    message = ask.SerializeToString()
    kinds = ("path", "twice", "malformed", "large", "size", "parse", "rule")
    for fault in random.sample(kinds, faults):
        if fault == "path":
            path = random.choice(
                (f"{path}X", f"/{path}", f"{path}/", path[1:], path.lower(), f"{path}?a=b", "/")
            )
            facts = replace(facts, path_known=False)
        elif fault == "twice":
            value = (bearer.header or "Bearer a").encode()
            metadata += [("authorization", value)] * (1 if bearer.header else 2)
            facts = replace(facts, authorization_twice=True)
        elif fault == "malformed":
            metadata.append(random.choice(malformed_metadata()))
            facts = replace(facts, metadata_malformed=True)
        elif fault == "large":
            metadata.append(("x-large", b"a" * 3000))
        elif fault == "size":
            message += contract.spec.request(padding=b"." * 500).SerializeToString()
        elif fault == "parse":
            message += b"\xff\xff\xff\xff"
            facts = replace(facts, parses=False)
        else:
            # Fields of a later message win when messages are joined.
            text = contract.spec.request(text="x" * 65)
            message += text.SerializeToString()
            facts = replace(facts, valid=False)
    size = sum(len(key) + len(value) + 32 for key, value in metadata)
    facts = replace(facts, metadata_bytes=size, message_bytes=len(message))
    return Call(workload, bearer, path, tuple(metadata), message, facts, gate)


class _Wires:
    """One raw connection for each workload, opened when first needed and again when it broke."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._open: dict[int, RawConnection] = {}
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> _Wires:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def of(self, workload: Workload) -> RawConnection:
        wire = self._open.get(id(workload))
        if wire is None or wire.closed or wire.goaway is not None:
            wire = RawConnection(self._address, workload.wire, SERVER_NAME)
            self._closing.callback(wire.close)
            self._open[id(workload)] = wire
        return wire


def _perform(
    kind: str,
    plan: Plan,
    stage: Stage,
    wires: _Wires,
    report: Report,
    told: Callable[[Plan, Call, Answer], None],
) -> None:
    past = Past()
    policies = plan.contract.service_policy, plan.contract.method_policy
    staying: list[tuple[int, RawConnection, int]] = []
    held = stage.held
    for index, call in enumerate(plan.calls):
        expected = decide(*policies, call.caller, call.facts, MESH, past)
        if kind == KINDS[0]:
            report.expected[expected[1] or expected[0]] += 1
        wire = wires.of(call.workload)
        before = held.ran[plan.contract.spec.path]
        entered = held.add(call.gate) if call.gate else None
        stream = wire.open(call.path, call.metadata)
        wire.send(stream, grpc_message(call.message), end=True)
        if entered is not None and expected == ALLOW and entered.wait(WAIT):
            past.running += 1
            staying.append((index, wire, stream))
            continue
        answer = wire.answer(stream, WAIT)
        told(plan, call, answer)
        ran = held.ran[plan.contract.spec.path] - before
        for fault in _faults(plan, expected, answer, ran):
            report.disagreements.append(Disagreement(kind, plan, index, expected, fault))
        if call.gate:
            held.release(call.gate)
    for index, wire, stream in staying:
        held.release(plan.calls[index].gate)
        answer = wire.answer(stream, WAIT)
        told(plan, plan.calls[index], answer)
        for fault in _faults(plan, ALLOW, answer, 1):
            report.disagreements.append(Disagreement(kind, plan, index, ALLOW, fault))


def _faults(plan: Plan, expected: Decision, answer: Answer, ran: int) -> Iterator[str]:
    code = answer.code.name if answer.code is not None else "none"
    if (code, answer.reason) != expected:
        yield str(answer)
    elif expected != ALLOW and answer.domain != "meshpact":
        yield f"the domain {answer.domain!r}"
    if expected == ALLOW and ran != 1:
        yield f"a handler that ran {ran} times"
    if expected != ALLOW and ran and not plan.contract.spec.request_streaming:
        yield "a handler that ran"


def _short(message: object) -> str:
    return " ".join(str(message).split()) or "nothing"
