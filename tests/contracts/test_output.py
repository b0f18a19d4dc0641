"""What people see: a fault with its line and a caret, a diff of bounded length, a watch."""

from __future__ import annotations

import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

import contractfiles
from contractfiles import ERRORS, service
from meshpact.contracts.faults import ContractsError
from meshpact.contracts.generate import generate
from meshpact.contracts.image import compile_image
from meshpact.contracts.staleness import difference
from meshpact.contracts.watch import Watch


def told(root: Path) -> str:
    """What a compile error says."""
    with pytest.raises(ContractsError) as caught:
        compile_image([root])
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "shown", "hint"),
    [
        ("message A { strin name = 1; }", "            ^", "correct the name, or import"),
        ("\tmessage A { strin name = 1; }", "\t            ^", "correct the name, or import"),
        (
            "message A { /* é漢 */ strin name = 1; }",
            " " * 22 + "^",
            "correct the name, or import",
        ),
        (
            "service S { option (meshpact.policy.v1.service) = {acces: {}}; }",
            None,
            "did you mean access? Policy has access, deadline",
        ),
    ],
    ids=["plain", "behind a tab", "behind wide characters", "inside an option"],
)
def test_a_compile_error_shows_the_line_a_caret_and_a_hint(
    line: str, shown: str | None, hint: str, tmp_path: Path
) -> None:
    contractfiles.write(tmp_path, {"shop.proto": f"{contractfiles.HEAD}{line}\n"})
    message = told(tmp_path)
    assert re.search(r"shop\.proto:10:\d+: ", message)
    assert f"\n    | {line}\n" in message
    assert shown is None or f"\n    | {shown}\n" in message
    assert f"\n    do: {hint}" in message


def test_a_line_too_long_to_read_is_shown_in_part(tmp_path: Path) -> None:
    contractfiles.contract(tmp_path, f"message A {{ {'/**/' * 500} strin name = 1; }}\n")
    (line, caret) = re.findall(r"^    \| (.*)$", told(tmp_path), re.MULTILINE)
    assert len(line) <= 160
    assert line[caret.index("^") :].startswith("strin name")


def test_a_diff_is_cut_where_it_would_be_long() -> None:
    old = "".join(f"{n}\n" for n in range(50_000)).encode()
    new = "".join(f"{n + 1}\n" for n in range(50_000)).encode()
    text = difference({f"f{n}.py": (old, new[::-1]) for n in range(9)})
    lines = text.splitlines()
    assert len(lines) <= 165
    assert "... more of f0.py differs" in lines
    assert lines[-1] == "... and 6 more files"


def test_a_diff_names_files_that_are_to_come_and_to_go() -> None:
    assert difference({"a.py": (None, b"x\n"), "b.py": (b"y\n", None)}) == (
        "--- /dev/null\n+++ a.py\n@@ -0,0 +1,1 @@\n+x\n"
        "--- b.py\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-y\n"
    )


def test_a_watch_waits_until_a_contract_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.proto"
    path.write_text("1")
    steps = iter(["1", "12", "123"])
    paused: list[str] = []

    def pause() -> None:
        text = next(steps, path.read_text())
        if text != path.read_text():
            path.write_text(text)
        paused.append(path.read_text())

    watch = Watch([tmp_path], pause)
    watch.changed()
    assert paused == ["1", "12", "123", "123"]


def test_the_command_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    contractfiles.contract(tmp_path / "protos", ERRORS + service())
    source = tmp_path / "protos/shop/v1/shop.proto"
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "meshpact.cli", "generate", "--watch"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()

    def read(stream: Iterable[str]) -> None:
        for line in stream:
            lines.put(line)

    reader = threading.Thread(target=read, args=[process.stdout])
    reader.start()

    def until(text: str) -> None:
        while text not in lines.get(timeout=60):
            pass

    try:
        until("wrote generated/shop/v1/shop_mesh.py")
        until("watching the contracts")
        source.write_text(source.read_text().replace("shop.reader", "Shop"))
        until("'Shop' is not a role name")
        until("watching the contracts")
        source.write_text(source.read_text().replace('"Shop"', '"shop.owner"'))
        until("wrote generated/shop/v1/shop_mesh.py")
        until("watching the contracts")
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=60)
        reader.join()
        process.stdout.close()
    assert code == 0
    assert "shop.owner" in (tmp_path / "generated/shop/v1/shop_mesh.py").read_text()


def test_a_contract_of_five_thousand_methods_is_generated_whole(tmp_path: Path) -> None:
    text = ['syntax = "proto3"; package big.v1; import "meshpact/policy/v1/policy.proto";']
    text += [f"message M{n} {{ M{(n * 7) % 1000} next = 1; }}" for n in range(1000)]
    for number in range(10):
        text.append(f"service S{number} {{")
        text.append(f"option (meshpact.policy.v1.service) = {{ {contractfiles.WHOLE} }};")
        text += [f"rpc Do{n}(M{n}) returns (stream M{n + 500}) {{}}" for n in range(500)]
        text.append("}")
    contractfiles.write(tmp_path / "protos", {"big/v1/big.proto": "\n".join(text)})
    generate([tmp_path / "protos"], tmp_path / "out")
    module = (tmp_path / "out/big/v1/big_mesh.py").read_text()
    assert len(re.findall(r"^S\d_DO\d+ = ", module, re.MULTILINE)) == 5000
    assert len(re.findall(r"^    (?:async )?def do\d+\(", module, re.MULTILINE)) == 20_000
    compile(module, "big_mesh.py", "exec")
    # One fault a method: all are told, each at its place.
    source = tmp_path / "protos/big/v1/big.proto"
    bad = " {option (meshpact.policy.v1.method) = {deadline: {default: {}}}; }"
    source.write_text(source.read_text().replace(" {}", bad))
    with pytest.raises(ContractsError) as caught:
        generate([tmp_path / "protos"], tmp_path / "out")
    assert len({fault.place for fault in caught.value.faults}) == 5000
