"""grpcurl, as its authors made it, against the mesh that `meshpact up` runs."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from interop.conftest import RunningShop

GET_STOCK = "acme.retail.inventory.v1.InventoryService/GetStock"
ASKS = ("-d", '{"sku": "85123A"}')
PERMISSION_DENIED = 64 + 7
INVALID_ARGUMENT = 64 + 3
BY = pytest.mark.parametrize(
    "by", [("--reflection",), ()], ids=["with reflection", "without reflection"]
)


class Grpcurl:
    """grpcurl beside a running shop."""

    def __init__(self, binary: Path, shop: RunningShop) -> None:
        self.binary = binary
        self.shop = shop

    def line(self, *call: str) -> str:
        """The line that `meshpact call --print-grpcurl` prints for a call."""
        printed = self.shop.meshpact("call", *call, "--print-grpcurl")
        assert printed.returncode == 0, printed.stderr
        assert printed.stdout.count("\n") == 1
        return printed.stdout.strip()

    def paste(self, line: str) -> subprocess.CompletedProcess[str]:
        """Runs a line in a shell in the mesh's directory, as a person would."""
        folders = (str(self.binary.parent), str(Path(sys.executable).parent), os.environ["PATH"])
        return subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.shop.home,
            env={**os.environ, "PATH": ":".join(folders)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def aside(self, caller: str, *words: str, service: str = "inventory") -> str:
        """A line of one's own, with a caller's certificate from `.meshpact/`."""
        line = shlex.split(self.line(GET_STOCK, *ASKS, "--as", caller))
        options = line[: line.index("-authority")]
        authority = f"{service}.{self.domain}"
        address = self.shop.address(service)
        return shlex.join([*options, "-authority", authority, *words[:-1], address, words[-1]])

    @property
    def domain(self) -> str:
        (bundle,) = self.shop.state.trust.glob("*.pem")
        return bundle.stem


@pytest.fixture(scope="module")
def tool(grpcurl: Path, shop: RunningShop) -> Grpcurl:
    return Grpcurl(grpcurl, shop)


@BY
def test_the_printed_line_answers_as_the_call_does(tool: Grpcurl, by: tuple[str, ...]) -> None:
    call = (GET_STOCK, *ASKS, "--as", "store")
    ours = tool.shop.meshpact("call", *call)
    assert ours.returncode == 0, ours.stderr
    line = tool.line(*call, *by)
    assert ("-protoset" in line) is not bool(by)
    theirs = tool.paste(line)
    assert theirs.returncode == 0, theirs.stderr
    assert json.loads(theirs.stdout) == json.loads(ours.stdout)


@BY
def test_an_identity_without_the_role_is_refused_with_the_reason(
    tool: Grpcurl, by: tuple[str, ...]
) -> None:
    refused = tool.paste(tool.line(GET_STOCK, *ASKS, "--as", "shipping", *by))
    assert refused.returncode == PERMISSION_DENIED, refused.stderr
    assert "Code: PermissionDenied" in refused.stderr
    assert '"@type": "type.googleapis.com/google.rpc.ErrorInfo"' in refused.stderr
    assert '"reason": "ROLE_MISSING"' in refused.stderr
    assert '"domain": "meshpact"' in refused.stderr


def test_an_invalid_field_is_named(tool: Grpcurl) -> None:
    refused = tool.paste(tool.line(GET_STOCK, "-d", "{}", "--as", "store"))
    assert refused.returncode == INVALID_ARGUMENT, refused.stderr
    assert '"reason": "INVALID_REQUEST"' in refused.stderr
    assert '"field": "sku"' in refused.stderr


def test_without_a_client_certificate_nobody_comes_in(tool: Grpcurl) -> None:
    words = shlex.split(tool.line(GET_STOCK, *ASKS, "--as", "store"))
    for option in ("-cert", "-key"):
        at = words.index(option)
        del words[at : at + 2]
    refused = tool.paste(shlex.join(words))
    assert refused.returncode != 0
    assert refused.stdout == ""
    assert "certificate" in refused.stderr.lower()


def test_the_certificate_of_another_ca_does_not_come_in(tool: Grpcurl, tmp_path: Path) -> None:
    stranger = str(tmp_path / "state")
    made = tool.shop.meshpact("certs", "init", "--trust-domain", tool.domain, "--state", stranger)
    assert made.returncode == 0, made.stderr
    issued = tool.shop.meshpact("certs", "issue", "store", "--state", stranger)
    assert issued.returncode == 0, issued.stderr
    line = tool.line(GET_STOCK, *ASKS, "--as", "store")
    ours, theirs = ".meshpact/identities/store", f"{stranger}/identities/store"
    assert ours in line
    refused = tool.paste(line.replace(ours, theirs))
    assert refused.returncode != 0
    assert refused.stdout == ""


def test_reflection_lists_and_describes_what_the_server_serves(tool: Grpcurl) -> None:
    listed = tool.paste(tool.aside("store", "list"))
    assert listed.returncode == 0, listed.stderr
    assert "acme.retail.inventory.v1.InventoryService" in listed.stdout.splitlines()
    assert "grpc.health.v1.Health" in listed.stdout.splitlines()
    described = tool.paste(tool.aside("store", f"describe {GET_STOCK}".split()[0]))
    assert described.returncode == 0, described.stderr


def test_reflection_is_for_those_who_hold_its_role(tool: Grpcurl) -> None:
    refused = tool.paste(tool.aside("shipping", "list"))
    assert refused.returncode != 0
    assert "PermissionDenied" in refused.stderr
