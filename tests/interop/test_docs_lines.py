"""The grpcurl lines on the pages of `meshpact docs`, pasted beside the mesh that they speak of."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pytest
import yaml

from interop.conftest import RunningShop
from interop.grpcurltool import Grpcurl, error_info
from meshpact.mesh.state import RunningMesh

PERMISSION_DENIED: Final = 64 + 7
SCOPES: Final = re.compile(r'scopes: "([\w.]+)"')
PROTOS: Final = Path(__file__).parents[2] / "protos"


@dataclass(frozen=True)
class Printed:
    """What a page prints of one method."""

    method: str
    line: str
    reasons: frozenset[str]
    """The errors of the contract that the page lists."""
    unary: bool

    def __str__(self) -> str:
        return self.method.rpartition(".")[2]


def printed(text: str) -> list[Printed]:
    """All methods of a page."""
    found: list[Printed] = []
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        line = re.search(r"^```sh\n(grpcurl .*?)\n```$", part, re.MULTILINE | re.DOTALL)
        if line is None:
            continue
        method = line[1].split()[-1]
        reasons = frozenset(re.findall(r"`([A-Z][A-Z0-9_]+)`", part))
        found.append(Printed(method, line[1], reasons, "stream" not in part.split("```")[0]))
    return found


@pytest.fixture(scope="module")
def tool(grpcurl: Path, shop: RunningShop) -> Grpcurl:
    return Grpcurl(grpcurl, shop)


@pytest.fixture(scope="module")
def lines(shop: RunningShop) -> list[Printed]:
    """Those of all methods that the running services serve."""
    mesh = yaml.safe_load((shop.home / "mesh.yaml").read_text())
    running = msgspec.json.decode(shop.state.mesh_file.read_bytes(), type=RunningMesh).services
    for name, processes in running.items():
        mesh["services"][name]["address"] = processes[0].address
    addressed = shop.home / "addressed.yaml"
    addressed.write_text(yaml.safe_dump(mesh, sort_keys=False))
    out = shop.home / "pages"
    written = shop.meshpact(
        *("docs", "--protos", str(PROTOS), "--mesh", str(addressed)),
        *("--format", "markdown", "--out", str(out)),
    )
    assert written.returncode == 0, written.stderr
    ours = {processes[0].address for processes in running.values()}
    pages = [page.read_text() for page in sorted(out.glob("*.md"))]
    return [
        each for page in pages for each in printed(page) if not ours.isdisjoint(each.line.split())
    ]


@pytest.fixture(scope="module")
def token(shop: RunningShop) -> str:
    """What the lines call $ACCESS_TOKEN: a customer's, with all scopes that contracts ask for."""
    scopes = sorted({s for p in PROTOS.rglob("*.proto") for s in SCOPES.findall(p.read_text())})
    asked = [word for scope in scopes for word in ("--scope", scope)]
    made = shop.meshpact("token", "--user", "12345", *asked)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_each_unary_line_is_answered_or_fails_as_its_page_says(
    tool: Grpcurl, lines: list[Printed], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller and its example pass the guard; what is left are errors of the contract."""
    monkeypatch.setenv("ACCESS_TOKEN", token)
    unary = [each for each in lines if each.unary]
    assert len(unary) > 10
    answered = 0
    for each in unary:
        done = tool.paste(each.line)
        if done.returncode == 0:
            answered += 1
            continue
        found = error_info(done.stderr)
        assert found.domain != "meshpact", (each.method, done.stderr)
        assert found.reason in each.reasons, (each.method, done.stderr)
    assert answered > 0


def test_each_line_is_refused_to_an_identity_without_the_role(
    tool: Grpcurl, lines: list[Printed], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the reason that the page lists; streams, too."""
    monkeypatch.setenv("ACCESS_TOKEN", token)
    for each in lines:
        line = re.sub(r"(?<=\.meshpact/identities/)[\w-]+", "stranger", each.line)
        refused = tool.paste(line)
        assert refused.returncode == PERMISSION_DENIED, (each.method, refused.stderr)
        assert error_info(refused.stderr).reason == "ROLE_MISSING"
        assert "ROLE_MISSING" in each.reasons, each.method


def test_a_line_without_the_token_that_it_names_is_refused(
    tool: Grpcurl, lines: list[Printed]
) -> None:
    assert "ACCESS_TOKEN" not in os.environ
    asking = [each for each in lines if "$ACCESS_TOKEN" in each.line and each.unary]
    assert asking
    for each in asking:
        refused = tool.paste(each.line)
        reason = error_info(refused.stderr).reason
        assert reason in {"TOKEN_MISSING", "TOKEN_INVALID"}, (each.method, refused.stderr)
        assert reason in each.reasons, each.method
