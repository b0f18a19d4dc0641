"""`meshpact access matrix`: callers against methods, by the guard's own decisions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from access.conftest import Ran
from access.meshes import MESH, PROTO, Shop

Access = Callable[..., Ran]


def grants(ran: Ran, method: str) -> dict[str, str]:
    assert ran.code == 0, ran.err
    return {
        each["caller"]: each["grant"]
        for each in ran.json["grants"]
        if each["method"] == f"shop.v1.Stock/{method}"
    }


def test_each_caller_is_held_against_each_method(shop: Shop, access: Access) -> None:
    ran = access("matrix", "--json")
    workloads = {
        "web": "yes",
        "desk": "yes",
        "spiffe://shop.example/cron": "yes",
        "spiffe://shop.example/batch/*": "yes",
    }
    assert grants(ran, "Get") == workloads
    assert grants(ran, "Put") == {"desk": "with", "user anna": "with", "group clerks": "with"}
    assert grants(ran, "Browse") == {
        **workloads,
        "stranger": "with",
        "any other workload": "with",
        "user anna": "with",
        "user berta": "yes",
        "group clerks": "with",
    }
    everyone = {row["name"] for row in ran.json["callers"]}
    assert set(grants(ran, "Open")) == everyone
    assert grants(ran, "Mine") == {
        name: "yes" if name.startswith(("user", "group")) else "with" for name in everyone
    }


def test_what_a_grant_needs_is_told(shop: Shop, access: Access) -> None:
    found = access("matrix", "--json", "--method", "shop.v1.Stock/Put").json
    needs = {each["caller"]: each["with"] for each in found["grants"]}
    assert needs == {
        "desk": ["user anna", "group clerks"],
        "user anna": ["desk"],
        "group clerks": ["desk"],
    }
    (method,) = found["methods"]
    assert method["place"] == "protos/shop/v1/stock.proto:14:7"
    mine = access("matrix", "--json", "--method", "shop.v1.Stock/Mine").json
    assert all(each.get("with", ["any user"]) == ["any user"] for each in mine["grants"])


def test_what_is_only_observed_is_shown_as_such(shop: Shop, access: Access) -> None:
    shop.mesh.write_text(MESH + "methods: {shop.v1.Stock/Get: {mode: observe}}\n")
    assert grants(access("matrix", "--json"), "Get")["stranger"] == "observed"


def test_denied_workloads_have_nothing(shop: Shop, access: Access) -> None:
    leaver = "spiffe://shop.example/leaver"
    shop.mesh.write_text(MESH + f"denied: {{workloads: [web, '{leaver}']}}\n")
    ran = access("matrix", "--json")
    assert "web" not in grants(ran, "Get")
    assert "desk" in grants(ran, "Get")
    mine = grants(ran, "Mine")
    assert "stranger" in mine
    assert leaver not in mine
    assert leaver in {row["name"] for row in ran.json["callers"]}


def test_the_table_is_for_people(shop: Shop, access: Access) -> None:
    ran = access("matrix", "--method", "shop.v1.Stock/*", "--caller", "web", "--caller", "stranger")
    assert ran.out.splitlines()[:9] == [
        "1  web",
        "2  stranger",
        "",
        "shop.v1.Stock",
        "          1 2",
        "  Browse  x u",
        "  Get     x .",
        "  Mine    u u",
        "  Open    x x",
    ]
    markdown = access("matrix", "--markdown", "--method", "shop.v1.Stock/Put").out
    row = "| `shop.v1.Stock/Put` |  | desk, user anna, group clerks |  |"
    assert row in markdown.splitlines()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--caller", "wbe"], "mesh.yaml names no caller 'wbe'. Did you mean web?"),
        (["--method", "shop.v1.Stock/Gett"], "Did you mean shop.v1.Stock/Get?"),
        (["--method", "shop.v1.Stok/*"], "Did you mean shop.v1.Stock/*?"),
        (["--mesh", "other.yaml"], "other.yaml: cannot be read"),
        (["--protos", "nowhere"], "nowhere is not a folder"),
    ],
)
def test_what_is_not_there_is_wrong_use(
    shop: Shop, access: Access, arguments: list[str], said: str
) -> None:
    ran = access("matrix", *arguments)
    assert ran.code == 2
    assert said in ran.err


def test_a_mesh_with_a_method_that_no_contract_has_is_refused_with_its_line(
    shop: Shop, access: Access
) -> None:
    shop.replaced("shop.v1.Stock/Put:", "shop.v1.Stock/Putt:")
    ran = access("matrix")
    assert ran.code == 2
    assert "mesh.yaml:17: networks.methods.shop.v1.Stock/Putt: shop.v1.Stock has no met" in ran.err


def test_a_contract_without_a_policy_is_told_with_its_place(shop: Shop, access: Access) -> None:
    path = shop.folder / "protos" / "shop" / "v1" / "stock.proto"
    path.write_text(PROTO.replace('access: { roles: "stock.reader" }\n', ""))
    ran = access("matrix")
    assert ran.code == 2
    assert "stock.proto:10:3: shop.v1.Stock/Get: no access is stated" in ran.err


def test_contracts_are_found_in_what_was_generated_and_in_what_ran(
    shop: Shop, access: Access, tmp_path: Path
) -> None:
    from meshpact.contracts.generate import generate
    from meshpact.contracts.image import compile_image

    wanted = access("matrix", "--json").json["grants"]
    image = compile_image([Path("protos")])
    generate([Path("protos")], Path("generated"))
    (tmp_path / "protos").rename(tmp_path / "sources")
    assert access("matrix", "--json", "--protos", "sources").json["grants"] == wanted
    assert access("matrix", "--json").json["grants"] == wanted
    (tmp_path / "generated").rename(tmp_path / "elsewhere")
    refused = access("matrix")
    assert refused.code == 2
    assert "no contracts are found" in refused.err
    (tmp_path / ".meshpact").mkdir(0o700)
    (tmp_path / ".meshpact" / "contracts.binpb").write_bytes(image.plain_bytes)
    assert access("matrix", "--json").json["grants"] == wanted


def test_a_hundred_thousand_bindings_have_a_matrix(shop: Shop, access: Access) -> None:
    with (shop.folder / "bindings.jsonl").open("w") as file:
        for number in range(100_000):
            workload = f"spiffe://shop.example/pod/{number}"
            file.write(json.dumps({"role": "stock.reader", "workload": workload}) + "\n")
    ran = access("matrix", "--method", "shop.v1.Stock/Get")
    assert "callers more: --json has all of them" in ran.out
    assert max(map(len, ran.out.splitlines())) < 500


def test_what_is_decided_for_one_caller_is_not_believed_for_another(
    shop: Shop, access: Access
) -> None:
    asked = ("matrix", "--json", "--method", "shop.v1.Stock/Put")
    alone = grants(access(*asked, "--caller", "stranger"), "Put")
    after = grants(access(*asked, "--caller", "desk", "--caller", "stranger"), "Put")
    assert alone == {}
    assert after == {"desk": "with"}
