"""Calls of methods that a server does not have: observers see them, at a bounded length."""

from __future__ import annotations

import pytest

from guard.scripted import KEY, Script, message, servicer
from guard.situations import KINDS
from guard.watching import Watching
from meshpact.interceptors.errors import Code
from meshpact.testing.hosting import Kind, Workbench


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [20, 5_000])
def test_an_unknown_method_is_audited_with_its_caller_and_counted_without_its_name(
    kind: Kind, length: int
) -> None:
    watching = Watching()
    path = "/no.such.Service/" + "x" * (length - 17)
    with (
        Workbench() as bench,
        bench.serving(
            kind, lambda: [servicer(kind, Script())], guard=bench.guard(**watching.options)
        ) as port,
        bench.connect(port, "stranger") as wire,
    ):
        answer = wire.call(path, message("unary", KEY))
        assert (answer.code, answer.reason) == (Code.UNIMPLEMENTED, "METHOD_UNKNOWN")
        assert len(answer.message) < 200
        (line,) = watching.wait_for_lines(1)
        assert (line.decision, line.reason, line.check) == ("deny", "METHOD_UNKNOWN", "method")
        assert line.caller == bench.id_of("stranger")
        assert line.method == path[:512]
        assert set(watching.counts()) == {("_OTHER", "UNIMPLEMENTED")}
        assert [span.name for span in watching.spans] == ["_OTHER"]
