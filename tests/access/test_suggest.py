"""`meshpact access suggest`: the least bindings that explain what audit files show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml

from access.conftest import Ran
from access.meshes import ISSUER, MESH, Shop
from meshpact.interceptors.audit import (
    CALL,
    INTENT,
    VERSION,
    AuditEvent,
    AuditLine,
    timestamp,
    user_hash,
)
from meshpact.interceptors.call import EndUser

Access = Callable[..., Ran]
NONE: frozenset[str] = frozenset()
WIDE = """\
  stock.reader: {}
  stock.admin: {includes: [stock.reader, stock.desk, stock.chief], workloads: [web]}
"""


def hash_of(user: str) -> str:
    return user_hash(
        EndUser(issuer=ISSUER, subject=user, audience=NONE, scopes=NONE, groups=NONE, expires=0)
    )


def trail(folder: Path, *uses: tuple[str, str, str] | tuple[str, str, str, str]) -> Path:
    """An audit file: (caller, method, decision, user)."""
    path = folder / "stock.jsonl"
    begin = AuditEvent(v=VERSION, time=timestamp(), event="begin", service="stock")
    lines = [msgspec.json.encode(begin)]
    for caller, method, decision, *user in uses:
        line = AuditLine(
            v=VERSION,
            time=timestamp(),
            event=CALL,
            service="stock",
            method=f"/shop.v1.Stock/{method}",
            caller=f"spiffe://shop.example/{caller}",
            user_hash=hash_of(user[0]) if user else "",
            peer="ipv4:127.0.0.1:1",
            decision=decision,
            check="",
            reason="",
            code="OK",
            policy="",
            trace_id="",
        )
        intent = msgspec.structs.replace(line, event=INTENT, method="/shop.v1.Stock/Mine")
        lines += [msgspec.json.encode(intent), msgspec.json.encode(line)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def test_what_was_used_is_what_is_suggested(shop: Shop, access: Access) -> None:
    path = trail(
        shop.folder,
        ("web", "Get", "allow"),
        ("stranger", "Get", "would_deny"),
        ("batch/nightly", "Get", "allow"),
        ("desk", "Put", "allow", "anna"),
        ("stranger", "Put", "deny"),
    )
    found = access("suggest", "--json", path).json
    holders = {role: (each["workloads"], each["users"]) for role, each in found["roles"].items()}
    assert holders == {
        "stock.clerk": ([], [{"issuer": ISSUER, "name": "anna"}]),
        "stock.desk": (["desk"], []),
        "stock.reader": (["spiffe://shop.example/batch/*", "stranger", "web"], []),
    }
    assert found["unused"] == []
    kept = {(each["role"], each["holder"]): each["place"] for each in found["kept"]}
    assert kept == {
        ("stock.chief", f"user berta at {ISSUER}"): "mesh.yaml:11",
        ("stock.reader", "spiffe://shop.example/cron"): "bindings.jsonl:1",
    }
    blind = [name for name in found["blind"] if name.startswith("shop.")]
    assert blind == ["shop.v1.Stock/Browse"]


def test_of_all_ways_the_one_that_opens_least_is_taken(shop: Shop, access: Access) -> None:
    shop.replaced('  stock.reader:\n    workloads: [web, "spiffe://shop.example/batch/*"]\n', WIDE)
    found = access("suggest", "--json", trail(shop.folder, ("web", "Get", "allow"))).json
    assert list(found["roles"]) == ["stock.reader"], "not the admin, who could do more"
    (more,) = (each for each in found["unused"] if each["holder"] == "web")
    assert (more["role"], more["seen"]) == ("stock.admin", True)


def test_what_was_certainly_never_used_is_named(shop: Shop, access: Access) -> None:
    found = access("suggest", "--json", trail(shop.folder, ("web", "Get", "allow"))).json
    assert found["unused"] == [
        {
            "role": "stock.clerk",
            "holder": f"user anna at {ISSUER}",
            "place": "mesh.yaml:10",
            "seen": False,
        }
    ]
    assert "stock.desk" in {each["role"] for each in found["kept"]}, "it may have browsed"


def test_the_yaml_can_be_pasted_and_lets_in_what_was_seen(shop: Shop, access: Access) -> None:
    path = trail(shop.folder, ("stranger", "Get", "would_deny"), ("desk", "Put", "allow", "anna"))
    out = access("suggest", path).out
    roles = yaml.safe_load(out)["roles"]
    assert roles["stock.clerk"] == {"users": ["anna"], "groups": ["clerks"]}
    assert roles["stock.desk"] == {"workloads": ["desk"], "includes": ["stock.reader"]}
    before, _, rest = MESH.partition("roles:\n")
    _, _, after = rest.partition("bindings_file:")
    pasted = "\n".join(line for line in out.splitlines() if not line.startswith("#"))
    shop.mesh.write_text(f"{before}{pasted}\nbindings_file:{after}")
    assert access("explain", "--caller", "stranger", "shop.v1.Stock/Get").code == 0
    token = shop.token("anna")
    asked = ("explain", "--caller", "desk", "--user-token", token, "shop.v1.Stock/Put")
    assert access(*asked).code == 0


def test_what_a_trail_hides_is_said(shop: Shop, access: Access) -> None:
    path = trail(
        shop.folder,
        ("desk", "Put", "allow", "zoe"),
        ("web", "Gone", "allow"),
        ("", "Open", "allow"),
    )
    out = access("suggest", path).out
    assert (
        "# shop.v1.Stock/Put: a user or a group that the trail does not name held one of "
        "stock.clerk (behind spiffe://shop.example/desk)" in out
    )
    assert "# shop.v1.Stock/Gone: no contract has this method" in out
    assert "#   shop.v1.Stock/Browse" in out
    assert (
        "# kept, though no need is seen: stock.reader of web (mesh.yaml:8); Browse would not" in out
    )


def test_files_of_several_services_are_read_together(shop: Shop, access: Access) -> None:
    first = trail(shop.folder, ("web", "Get", "allow")).rename(shop.folder / "a.jsonl")
    second = trail(shop.folder, ("stranger", "Get", "allow"))
    second.write_bytes(second.read_bytes() + b"not a line\n\xff\n")
    ran = access("suggest", "--json", first, second)
    assert ran.json["roles"]["stock.reader"]["workloads"] == ["stranger", "web"]
    assert ran.err == "2 lines are no audit lines and were left out\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "trail.jsonl cannot be read: No such file"), ("x\n", "holds no audit lines")],
)
def test_files_without_a_trail_are_wrong_use(
    shop: Shop, access: Access, content: str | None, said: str
) -> None:
    if content is not None:
        (shop.folder / "trail.jsonl").write_text(content)
    ran = access("suggest", "trail.jsonl")
    assert ran.code == 2
    assert said in ran.err


def test_an_empty_trail_suggests_nothing_and_says_so(shop: Shop, access: Access) -> None:
    ran = access("suggest", trail(shop.folder))
    assert ran.code == 0
    assert ran.err == "no allowed or observed call stands in these files\n"
