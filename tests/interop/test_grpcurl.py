"""grpcurl, as its authors made it, against the mesh that `meshpact up` runs."""

import json
import re
import shlex
from pathlib import Path

import pytest

from interop.conftest import RunningShop
from interop.grpcurltool import ASKS, GET_STOCK, Grpcurl, error_info

SERVICE = "acme.retail.inventory.v1.InventoryService"
INVALID_ARGUMENT, DEADLINE_EXCEEDED, PERMISSION_DENIED = 64 + 3, 64 + 4, 64 + 7
BY = pytest.mark.parametrize(
    "by", [("--reflection",), ()], ids=["with reflection", "without reflection"]
)


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
def test_a_line_with_an_end_user_brings_a_token_along(tool: Grpcurl, by: tuple[str, ...]) -> None:
    call = ("acme.retail.orders.v1.OrderService/ListOrders", "--as", "storefront")
    line = tool.line(*call, "--user", "12345", "--scope", "orders.read", *by)
    assert re.search(r"\$\(\S*meshpact token ", line)
    answered = tool.paste(line)
    assert answered.returncode == 0, answered.stderr
    refused = tool.paste(line.replace("orders.read", "store.read"))
    assert refused.returncode == PERMISSION_DENIED, refused.stderr
    assert error_info(refused.stderr).reason == "SCOPE_MISSING"


def test_a_stream_comes_message_by_message_until_its_deadline(tool: Grpcurl) -> None:
    watch = "acme.retail.inventory.v1.InventoryService/WatchStock"
    asks = ("-d", '{"skus": ["85123A"]}', "--as", "dashboard")
    watched = tool.paste(tool.line(watch, *asks, "--timeout", "2"))
    assert watched.returncode == DEADLINE_EXCEEDED, watched.stderr
    assert "85123A" in watched.stdout


# Both hold no role that reads stock; asking for the contract needs a role of its own.
@pytest.mark.parametrize(
    ("caller", "by"),
    [("storefront", ("--reflection",)), ("stranger", ())],
    ids=["with reflection", "without reflection"],
)
def test_an_identity_without_the_role_is_refused_with_the_reason(
    tool: Grpcurl, caller: str, by: tuple[str, ...]
) -> None:
    refused = tool.paste(tool.line(GET_STOCK, *ASKS, "--as", caller, *by))
    assert refused.returncode == PERMISSION_DENIED, refused.stderr
    assert "Code: PermissionDenied" in refused.stderr
    found = error_info(refused.stderr)
    assert (found.reason, found.domain) == ("ROLE_MISSING", "meshpact")


def test_an_invalid_field_is_named(tool: Grpcurl) -> None:
    refused = tool.paste(tool.line(GET_STOCK, "-d", "{}", "--as", "store"))
    assert refused.returncode == INVALID_ARGUMENT, refused.stderr
    assert "field 'sku'" in refused.stderr
    assert error_info(refused.stderr).reason == "INVALID_REQUEST"


def test_without_a_client_certificate_nobody_comes_in(tool: Grpcurl) -> None:
    words = shlex.split(tool.line(GET_STOCK, *ASKS, "--as", "store"))
    for option in ("-cert", "-key"):
        at = words.index(option)
        del words[at : at + 2]
    tool.stays_outside(shlex.join(words))


def test_the_certificate_of_another_ca_does_not_come_in(tool: Grpcurl, tmp_path: Path) -> None:
    stranger = str(tmp_path / "state")
    for made in (("init", "--trust-domain", tool.domain), ("issue", "store")):
        done = tool.shop.meshpact("certs", *made, "--state", stranger)
        assert done.returncode == 0, done.stderr
    line = tool.line(GET_STOCK, *ASKS, "--as", "store")
    ours, theirs = ".meshpact/identities/store", f"{stranger}/identities/store"
    assert ours in line
    tool.stays_outside(line.replace(ours, theirs))


def test_reflection_lists_and_describes_what_the_server_serves(tool: Grpcurl) -> None:
    listed = tool.paste(tool.aside("store", "list"))
    assert listed.returncode == 0, listed.stderr
    assert {SERVICE, "grpc.health.v1.Health"} <= set(listed.stdout.splitlines())
    described = tool.paste(tool.aside("store", "describe", SERVICE))
    assert described.returncode == 0, described.stderr
    assert "rpc GetStock" in described.stdout


def test_reflection_is_for_those_who_hold_its_role(tool: Grpcurl) -> None:
    refused = tool.paste(tool.aside("stranger", "list"))
    assert refused.returncode != 0
    assert "mesh.reflect" in refused.stderr


def test_health_is_told_over_the_same_connection(tool: Grpcurl) -> None:
    asks = ("-d", json.dumps({"service": SERVICE}))
    told = tool.paste(tool.aside("store", "grpc.health.v1.Health/Check", options=asks))
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {"status": "SERVING"}
