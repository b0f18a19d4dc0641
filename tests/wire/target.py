"""What an attack is aimed at: one server, and the two who call it (one with the role, one not)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from demo.v1 import demo_pb2 as pb
from meshpact.policy.v1.policy_pb2 import Deadline, Policy
from meshpact.testing.hosting import Workbench
from meshpact.testing.rawanswer import Answer
from meshpact.testing.rawwire import RawConnection, grpc_message

SERVICE: Final = "/demo.v1.DemoService"
ROLE: Final = "demo.caller"
CALLER, STRANGER = "caller", "stranger"
HELLO: Final = grpc_message(pb.EchoRequest(text="hello").SerializeToString())
PATIENCE: Final = 30.0
"""Seconds after which a call counts as unanswered; every attack below ends sooner."""

SHORT: Final = {
    f"demo.v1.DemoService/{method}": Policy(
        deadline=Deadline(default=Duration(seconds=2), max=Duration(seconds=5))
    )
    for method in ("Hold", "Chat")
}
"""An overlay: what a call without a usable deadline gets from methods that may stand still."""

LEAK: Final = re.compile(
    r"Traceback|Exception|Error\b(?! parsing)|\.py\b|\bline \d|object at 0x|codec|secret"
    r"|/home/|site-packages"
)
"""What no caller may read: exception classes, places in source code, the handler's own words."""


@dataclass(frozen=True)
class Target:
    """A running server: "aio" or "sync", strict or not."""

    bench: Workbench
    kind: str
    strict: bool
    port: int

    def connect(self, service: str = CALLER, **options: Any) -> RawConnection:
        """A fresh connection as a workload."""
        return self.bench.connect(self.port, service, **options)

    def call(
        self,
        path: str | bytes = f"{SERVICE}/Echo",
        data: bytes = HELLO,
        metadata: Any = (),
        *,
        service: str = CALLER,
        early: bool = False,
        **headers: Any,
    ) -> Answer:
        """One call on a connection of its own; `early`: before the settings are exchanged."""
        with self.connect(service, await_settings=not early) as wire:
            stream = wire.open(path, metadata, **headers)
            wire.send(stream, data, end=True)
            return wire.answer(stream, PATIENCE)

    def fault_after(self) -> str:
        """Why an honest caller is not served any more; "" when one is."""
        try:
            answer = self.call()
        except OSError as error:
            return f"an honest caller cannot connect afterwards: {error}"
        expected = pb.EchoResponse(text="hello").SerializeToString()
        if answer.code is None or answer.code.name != "OK" or answer.messages != (expected,):
            return f"an honest call fails afterwards: {answer}"
        return ""


@dataclass(frozen=True)
class Attack:
    """One thing that no honest client does, and how the server must end it.

    `expected` holds what may answer it, as "CODE REASON" ("CODE" alone: C-core or grpcio ends the
    call, without details; "reset", "closed", "goaway" or "tls": without a status). `who` says who
    ends it, for the table of docs/wire-hygiene.md; `within` bounds the answer, in
    seconds: a machine that is busy with other things is no fault.
    """

    name: str
    perform: Callable[[Target], Answer]
    who: str
    expected: tuple[str, ...]
    within: float = 20.0
    least: float = 0.0
    """Seconds before which the call must not end."""

    def run(self, target: Target) -> list[str]:
        """What went wrong, one sentence a fault; nothing when the server did as it must."""
        faults: list[str] = []
        try:
            answer = self.perform(target)
        except OSError as error:
            if "tls" not in self.expected:
                faults.append(f"the connection failed: {error}")
        else:
            faults += self._judge(answer)
        if fault := target.fault_after():
            faults.append(fault)
        mode = f"{target.kind}, strict" if target.strict else target.kind
        return [f"{self.name} ({mode}): {fault}" for fault in faults]

    def _judge(self, answer: Answer) -> list[str]:
        faults: list[str] = []
        found = ended(answer)
        if found not in self.expected:
            faults.append(f"{' or '.join(self.expected)} was expected, found: {answer}")
        if LEAK.search(answer.message):
            faults.append(f"the message tells of the inside: {answer.message!r}")
        if not self.least <= answer.seconds <= self.within:
            faults.append(f"it took {answer.seconds:.2f} s, not {self.least:g} to {self.within:g}")
        return faults


def ended(answer: Answer) -> str:
    """How a call ended, in the words of `Attack.expected`."""
    if answer.code is None:
        return answer.ended.value
    if answer.reason and answer.domain != "meshpact":
        return f"{answer.code.name} {answer.reason} of {answer.domain}"
    return f"{answer.code.name} {answer.reason}".strip()
