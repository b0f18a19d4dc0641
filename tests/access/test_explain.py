"""`meshpact access explain`: each check in order, with the lines that decided it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from access.conftest import Ran
from access.meshes import ISSUER, MESH, Shop
from meshpact.testing.authority import Authority

Access = Callable[..., Ran]
GET, PUT, OPEN = ("shop.v1.Stock/Get", "shop.v1.Stock/Put", "shop.v1.Stock/Open")
PROTO = "protos/shop/v1/stock.proto"


def steps(ran: Ran) -> list[tuple[str, str, list[str]]]:
    return [(each["check"], each["outcome"], each["places"]) for each in ran.json["steps"]]


def last(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = ran.json["steps"][-1]
    return found


def test_an_allowed_call_shows_every_check_and_its_lines(shop: Shop, access: Access) -> None:
    ran = access("explain", "--json", "--caller", "web", "--address", "127.0.0.1", GET)
    assert ran.code == 0
    assert (ran.json["decision"], ran.json["reason"], ran.json["code"]) == ("allow", "", "")
    assert steps(ran) == [
        ("method", "pass", [f"{PROTO}:11:3"]),
        ("identity", "pass", ["mesh.yaml:4"]),
        ("network", "pass", ["mesh.yaml:16"]),
        ("access", "pass", ["mesh.yaml:8", f"{PROTO}:7:15"]),
    ]


def test_a_missing_role_names_the_contract_and_what_is_held_instead(
    shop: Shop, access: Access
) -> None:
    ran = access("explain", "--json", "--caller", "stranger", GET)
    assert ran.code == 1
    assert (ran.json["decision"], ran.json["code"]) == ("deny", "PERMISSION_DENIED")
    step = last(ran)
    assert (step["check"], step["reason"], step["places"]) == (
        "access",
        "ROLE_MISSING",
        [f"{PROTO}:7:15"],
    )
    assert step["text"] == "the caller holds none of the roles stock.reader (it holds none)"
    assert ran.json["steps"][2]["outcome"] == "not judged", "no address was given"


@pytest.mark.parametrize(
    ("caller", "place", "text"),
    [
        ("spiffe://shop.example/cron", "bindings.jsonl:1", "/cron holds stock.reader"),
        ("spiffe://shop.example/batch/a/b", "mesh.yaml:8", "/batch/* holds stock.reader"),
        ("desk", "mesh.yaml:9", "/desk holds stock.reader, which stock.desk includes"),
    ],
)
def test_the_binding_that_gives_the_role_is_named(
    shop: Shop, access: Access, caller: str, place: str, text: str
) -> None:
    step = last(access("explain", "--json", "--caller", caller, GET))
    assert step["places"][0] == place
    assert step["text"].endswith(text)


def test_each_condition_has_a_step_of_its_own(shop: Shop, access: Access) -> None:
    def asked(caller: str, token: Path) -> tuple[int, list[tuple[str, str, list[str]]], str]:
        ran = access("explain", "--json", "--caller", caller, "--user-token", token, PUT)
        return ran.code, [each for each in steps(ran) if each[0] in ("token", "access")], ran.out

    token = ("token", "pass", [f"{PROTO}:17:9", "mesh.yaml:14"])
    desk = ("access", "pass", ["mesh.yaml:9", f"{PROTO}:15:9"])
    clerk = ("access", "pass", ["mesh.yaml:10", f"{PROTO}:16:9"])
    scope = ("access", "pass", [f"{PROTO}:18:9"])
    assert asked("desk", shop.token("anna"))[:2] == (0, [token, desk, clerk, scope])
    assert asked("desk", shop.token("carla", "clerks"))[:2] == (0, [token, desk, clerk, scope])
    no_desk = ("access", "deny", [f"{PROTO}:15:9"])
    assert asked("web", shop.token("anna"))[:2] == (1, [token, no_desk])
    code, found, out = asked("desk", shop.token("berta"))
    assert (code, found) == (1, [token, desk, ("access", "deny", [f"{PROTO}:16:9"])])
    assert "the end user holds none of the roles stock.clerk (it holds stock.chief)" in out
    code, found, out = asked("desk", shop.token("anna", scopes=()))
    assert (code, found) == (1, [token, desk, clerk, ("access", "deny", [f"{PROTO}:18:9"])])
    assert "the token lacks the scope stock.write" in out


def test_a_token_that_is_missing_or_bad_ends_the_explanation(shop: Shop, access: Access) -> None:
    ran = access("explain", "--json", "--caller", "desk", PUT)
    assert (last(ran)["check"], last(ran)["reason"]) == ("token", "TOKEN_MISSING")
    path = shop.token("anna")
    path.write_text(path.read_text()[:-9] + "AAAAAAAA")
    ran = access("explain", "--json", "--caller", "desk", "--user-token", path, PUT)
    assert (ran.code, last(ran)["reason"]) == (1, "TOKEN_INVALID")
    assert path.read_text().split(".")[1] not in ran.out + ran.err, "no token in what is printed"


def test_keys_are_needed_for_tokens_only(shop: Shop, access: Access) -> None:
    token = shop.token("anna")
    (shop.folder / "jwks.json").unlink()
    assert access("explain", "--caller", "web", GET).code == 0
    assert access("explain", "--json", "--caller", "desk", PUT).json["reason"] == "TOKEN_MISSING"
    ran = access("explain", "--caller", "desk", "--user-token", token, PUT)
    assert ran.code == 1
    assert f"issuer {ISSUER}: " in ran.err
    assert "jwks.json" in ran.err


def test_a_bound_token_needs_the_certificate(shop: Shop, access: Access) -> None:
    from guard.situations import thumbprint

    leaf = Authority("shop.example").issue("desk")
    certificate = shop.folder / "cert.pem"
    certificate.write_bytes(leaf.chain_pem)
    token = shop.folder / "token.txt"
    bound = {"cnf": {"x5t#S256": thumbprint(leaf.chain_pem)}}
    minted = shop.issuer.mint("anna", audience=["shop"], scopes=["stock.write"], claims=bound)
    token.write_text(minted)
    asked = ("explain", "--json", "--caller", "desk", "--user-token", token, PUT)
    assert last(access(*asked))["reason"] == "TOKEN_BINDING_MISMATCH"
    assert access(*asked, "--certificate", certificate).code == 0


def test_networks_are_judged_by_the_address(shop: Shop, access: Access) -> None:
    def asked(*options: str) -> Ran:
        return access("explain", "--json", "--caller", "desk", *options, PUT)

    refused = asked("--address", "127.0.0.2")
    assert (last(refused)["reason"], last(refused)["places"]) == (
        "NETWORK_DENIED",
        ["mesh.yaml:17"],
    )
    refused = asked("--address", "192.0.2.1")
    assert last(refused)["places"] == ["mesh.yaml:16", "mesh.yaml:17"]
    assert last(refused)["text"] == "192.0.2.1 is outside"
    shop.replaced("networks:\n", "networks:\n  trusted_proxies: [192.0.2.1]\n")
    through = asked("--address", "192.0.2.1", "--forwarded-for", "127.0.0.1")
    assert last(through)["reason"] == "TOKEN_MISSING"
    assert asked("--address", "unix").json["reason"] == "NETWORK_DENIED"
    wrong = asked("--address", "here")
    assert (wrong.code, "'here' is no IP address" in wrong.err) == (2, True)


def test_identities_that_cannot_be_proven_are_refused(shop: Shop, access: Access) -> None:
    ran = access("explain", "--json", GET)
    assert (ran.code, last(ran)["reason"]) == (1, "IDENTITY_MISSING")
    ran = access("explain", "--json", "--caller", "spiffe://other.example/a", GET)
    assert (ran.code, last(ran)["reason"]) == (1, "IDENTITY_INVALID")
    shop.mesh.write_text(MESH + "federation: {other.example: {bundle: other.json}}\n")
    ran = access("explain", "--json", "--caller", "spiffe://other.example/a", GET)
    assert last(ran)["reason"] == "ROLE_MISSING"
    assert access("explain", OPEN).code == 0


def test_a_denied_identity_is_refused_by_the_line_that_denies_it(
    shop: Shop, access: Access
) -> None:
    shop.mesh.write_text(MESH + "denied:\n  workloads:\n    - spiffe://shop.example/batch/*\n")
    ran = access("explain", "--json", "--caller", "spiffe://shop.example/batch/x", GET)
    assert (ran.code, last(ran)["reason"]) == (1, "IDENTITY_DENIED")
    assert last(ran)["places"] == ["mesh.yaml:20"]


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("roles:\n", 'methods:\n  "shop.v1.Stock/*":\n    mode: observe\nroles:\n', 8),
        ("roles:\n  stock.reader:\n", "roles:\n  stock.reader:\n    mode: observe\n", 8),
    ],
    ids=["method", "role"],
)
def test_what_is_only_observed_names_the_line_that_says_so(
    shop: Shop, access: Access, before: str, after: str, line: int
) -> None:
    shop.replaced(before, after)
    ran = access("explain", "--json", "--caller", "stranger", GET)
    assert (ran.code, ran.json["decision"], ran.json["reason"]) == (0, "would_deny", "ROLE_MISSING")
    assert last(ran)["outcome"] == "would_deny"
    assert last(ran)["places"] == [f"mesh.yaml:{line}", f"{PROTO}:7:15"]


def test_it_reads_well(shop: Shop, access: Access) -> None:
    ran = access("explain", "--caller", "stranger", GET)
    lines = ran.out.splitlines()
    assert lines[0] == f"spiffe://shop.example/stranger calls {GET}"
    assert "  access    deny        the caller holds none of the roles stock.reader" in ran.out
    assert lines[-2] == "deny: ROLE_MISSING"
    out = access("explain", "--caller", "web", GET).out
    assert out.endswith("\nallow (not judged: network)\n")
    out = access("explain", "--caller", "web", "--address", "127.0.0.1", GET).out
    assert out.endswith("\nallow\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--caller", "dsk", GET], "there is no workload 'dsk' in mesh.yaml"),
        (["--caller", "dsk", GET], "Did you mean desk?"),
        (["--caller", "desk", "shop.v1.Stock/Gte"], "Did you mean shop.v1.Stock/Get?"),
        (["--caller", "desk", "--service", "wbe", GET], "Did you mean web?"),
        (["--caller", "desk", "--user-token", "nowhere", PUT], "nowhere cannot be read: No such"),
        (["--caller", "spiffe://shop.example/a b", GET], "the path segment 'a b'"),
    ],
)
def test_what_is_not_there_is_wrong_use(
    shop: Shop, access: Access, arguments: list[str], said: str
) -> None:
    ran = access("explain", *arguments)
    assert ran.code == 2
    assert said in ran.err
