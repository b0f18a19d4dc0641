"""Whom a change touches: callers by name, deadlines that no longer fit, and who really called."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from meshpact.interceptors.audit import timestamp
from review.reviews import AGAINST, HEAD, Ran, Repository, who, write

Review = Callable[..., Ran]
DAY = 86_400


def test_callers_users_and_groups_that_gain_a_method_are_named(
    repository: Repository, review: Review
) -> None:
    repository.replace('access: {roles: "shop.writer"}', 'access: {roles: "shop.reader"}')
    ran = review(*AGAINST, "--json")
    assert who(ran.finding("role-dropped"), "loses") == ["desk"]
    assert who(ran.finding("role-added"), "gains") == ["web"]
    for form in ("markdown", "text", "github"):
        shown = review(*AGAINST, "--format", form).out
        assert "lose it: desk" in shown
        assert "gain it: web" in shown


def test_users_and_groups_gain_where_their_tokens_count(
    repository: Repository, review: Review
) -> None:
    repository.replace(
        'access: {roles: "shop.writer"}',
        'access: {roles: "shop.writer" roles: "shop.reader" end_user: END_USER_OPTIONAL}',
    )
    ran = review(*AGAINST, "--json")
    gains = who(ran.finding("end-user-roles-count"), "gains")
    assert {"web", "user anna", "group staff"} <= set(gains)


def test_a_change_that_touches_nobody_says_so(repository: Repository, review: Review) -> None:
    repository.replace('roles: "shop.writer"', 'roles: "shop.writer" roles: "shop.nobody"')
    ran = review(*AGAINST)
    assert ran.code == 1
    assert "nobody in mesh.yaml gains it" in ran.out


def test_a_role_that_nobody_needs_is_taken_from_nobody(
    repository: Repository, review: Review
) -> None:
    repository.replace(
        "shop.reader: {workloads: [web]",
        "shop.reader: {workloads: [web, desk]",
        path=repository.top / "mesh.yaml",
    )
    repository.commit("Let the desk read")
    repository.replace('access: {roles: "shop.writer"}', 'access: {roles: "shop.reader"}')
    (row,) = (line for line in review(*AGAINST).out.splitlines() if line.startswith("| **breaks"))
    assert "| nobody in mesh.yaml loses it |" in row, "web calls it, and gains it"


def test_a_role_renamed_with_its_bindings_takes_nothing_from_anybody(
    repository: Repository, review: Review
) -> None:
    repository.replace("shop.writer", "shop.clerk")
    repository.replace("shop.writer", "shop.clerk", path=repository.top / "mesh.yaml")
    ran = review(*AGAINST, "--json")
    for finding in ran.json["findings"]:
        assert {each["kind"] for each in finding["touched"]} <= {"nobody", "callers"}, finding


def test_a_binding_that_lets_in_is_told_beside_a_contract_that_keeps_out(
    repository: Repository, review: Review
) -> None:
    """Else whoever approves that a role is gone would approve that another caller came."""
    text = 'access: {roles: "shop.writer" roles: "shop.gone"}'
    repository.replace('access: {roles: "shop.writer"}', text)
    repository.replace("roles:\n", "roles:\n  shop.gone: {}\n", repository.top / "mesh.yaml")
    repository.commit("Let another role in")
    repository.replace(text, 'access: {roles: "shop.writer"}')
    mesh = repository.top / "mesh.yaml"
    repository.replace("{workloads: [desk], ", "{workloads: [desk, stranger], ", path=mesh)
    ran = review(*AGAINST, "--json")
    assert ran.finding("role-dropped")["touched"][0]["kind"] == "nobody"
    assert who(ran.finding("binding-added"), "gains") == ["stranger"]


def test_bindings_that_change_alone_are_findings(repository: Repository, review: Review) -> None:
    mesh = repository.top / "mesh.yaml"
    repository.replace("{workloads: [desk], users: [anna]}", "{workloads: [stranger]}", path=mesh)
    ran = review(*AGAINST, "--json")
    put = "shop.v1.Stock/Put"
    assert ran.found == {
        (put, "binding-removed", "breaks-callers"),
        (put, "binding-added", "widens-access"),
    }
    assert who(ran.finding("binding-removed"), "loses") == ["desk"]
    assert who(ran.finding("binding-added"), "gains") == ["stranger"]


@pytest.mark.parametrize(
    ("after", "rules"),
    [
        ("{mesh: [10.0.0.0/9, 10.128.0.0/9]}", set[str]()),
        ("{mesh: [10.1.0.0/16]}", {"network-tightened"}),
        ("{mesh: [10.0.0.0/8, 192.168.0.0/16]}", {"network-widened"}),
        ("{mesh: [192.168.0.0/16]}", {"network-tightened", "network-widened"}),
        ("{mesh: [10.0.0.0/8, unix]}", {"network-widened"}),
        ("{}", {"network-widened"}),
        ("{mesh: [10.0.0.0/8], services: {desk: [10.0.0.1]}}", {"network-tightened"}),
        ("{mesh: [10.0.0.0/8], trusted_proxies: [10.0.0.1]}", {"proxies-tightened"}),
        ("{mesh: [10.0.0.0/8], trusted_proxies: [192.168.0.1]}", {"proxies"}),
        (
            "{mesh: [10.0.0.0/8], trusted_proxies: [10.0.0.1, 11.0.0.1]}",
            {"proxies", "proxies-tightened"},
        ),
        ("{mesh: ['::ffff:10.0.0.0/104']}", set[str]()),
    ],
)
def test_networks_are_compared_by_the_addresses_that_they_hold(
    repository: Repository, review: Review, after: str, rules: set[str]
) -> None:
    mesh = repository.top / "mesh.yaml"
    repository.replace("{mesh: [10.0.0.0/8]}", after, path=mesh)
    assert {rule for _, rule, _ in review(*AGAINST, "--json").found} == rules


def test_a_base_without_a_mesh_file_takes_todays_bindings(
    repository: Repository, review: Review
) -> None:
    repository.git("mv", "mesh.yaml", "other.yaml")
    repository.replace('access: {roles: "shop.writer"}', 'access: {roles: "shop.reader"}')
    ran = review("--against", "HEAD", "--mesh", "other.yaml", "--json")
    assert who(ran.finding("role-dropped"), "loses") == ["desk"]
    assert any("bindings are taken to be the same" in each for each in ran.json["remarks"])


def test_without_a_mesh_it_says_what_is_not_known(repository: Repository, review: Review) -> None:
    repository.replace('roles: "shop.writer"', 'roles: "shop.reader"')
    ran = review("--against", "HEAD", "--json")
    assert any("--mesh" in each for each in ran.json["remarks"])
    assert all(finding["touched"] == [] for finding in ran.json["findings"])


CALLING = """
service Till {
  option (meshpact.policy.v1.service) = {
    access: {roles: "shop.reader"}
    deadline: {default: {seconds: 8} max: {seconds: 9}}
    audit: {level: AUDIT_LEVEL_DENIALS}
  };
  rpc Sell(SellRequest) returns (SellResponse);
}
message SellRequest {}
message SellResponse {}
"""


def _with_till(repository: Repository, package: str = "desk", serves: str = "") -> None:
    """A service `desk` whose own methods have 8 s, and which calls Get."""
    text = HEAD.replace("shop.v1", f"shop.{package}.v1") + CALLING
    write(repository.top / "protos", text, "till.proto")
    repository.replace(
        "desk: {", f'desk: {{factory: "desk.app:create", {serves}', repository.top / "mesh.yaml"
    )
    repository.commit("Sell")


def test_callers_whose_deadline_is_longer_than_the_new_maximum_are_named(
    repository: Repository, review: Review
) -> None:
    _with_till(repository)
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    ran = review(*AGAINST, "--json")
    finding = ran.finding("max-deadline-lowered", "Get")
    assert [each["text"] for each in finding["touched"] if each["kind"] == "deadline"] == [
        "desk: its Sell has 8 s"
    ]
    assert who(finding, "callers") == ["desk", "web"]
    assert ran.json["remarks"] == [
        "what desk serves is guessed by name; services.NAME.serves of mesh.yaml can say it"
    ]


def test_who_serves_a_contract_is_what_the_mesh_says_and_no_guess(
    repository: Repository, review: Review
) -> None:
    _with_till(repository, "checkout", "serves: [shop.checkout.v1.Till], ")
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    ran = review(*AGAINST, "--json")
    finding = ran.finding("max-deadline-lowered", "Get")
    assert who(finding, "deadline") == ["desk"]
    assert ran.json["remarks"] == []


def test_a_contract_that_another_service_says_it_serves_is_not_guessed_to_be_ones_own(
    repository: Repository, review: Review
) -> None:
    _with_till(repository)
    mesh = repository.top / "mesh.yaml"
    other = 'other: {factory: "o:create", serves: [shop.desk.v1.Till]}'
    repository.replace("  stranger: {}", f"  stranger: {{}}\n  {other}", mesh)
    repository.commit("Let another serve it")
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    ran = review(*AGAINST, "--json")
    assert who(ran.finding("max-deadline-lowered", "Get"), "deadline") == []
    assert ran.json["remarks"] == []


def test_callers_that_must_end_before_the_new_default_are_named(
    repository: Repository, review: Review
) -> None:
    _with_till(repository)
    repository.replace("default: {seconds: 1} max: {seconds: 10}", "default: {seconds: 10}")
    finding = review(*AGAINST, "--json").finding("default-deadline-raised", "Get")
    assert [each["text"] for each in finding["touched"] if each["kind"] == "deadline"] == [
        "desk: its Sell must end after 9 s"
    ]


def _line(method: str, caller: str, days_ago: float, decision: str = "allow") -> bytes:
    when = timestamp(lambda: time.time() - days_ago * DAY)
    return msgspec.json.encode(
        {
            "v": 1,
            "time": when,
            "event": "call",
            "method": f"/{method}",
            "caller": f"spiffe://shop.example/{caller}",
            "decision": decision,
        }
    )


def test_an_audit_trail_tells_who_really_called_and_how_often(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    put = "shop.v1.Stock/Put"
    lines = [_line(put, "desk", 1)] * 3 + [_line(put, "desk", 40), _line(put, "web", 1, "deny")]
    trail = tmp_path / "desk.jsonl"
    trail.write_bytes(b"\n".join(lines) + b"\n")
    repository.replace('access: {roles: "shop.writer"}', 'access: {roles: "shop.reader"}')
    used = (*AGAINST, "--audit", trail, "--days", "7")
    calls = [
        each
        for each in review(*used, "--json").finding("role-dropped")["touched"]
        if each["kind"] == "calls"
    ]
    assert [(each["who"], each["count"]) for each in calls] == [("desk", 3)]
    assert "lose it: desk (3 calls)" in review(*used).out
    longer = review(*AGAINST, "--audit", trail, "--days", "60", "--json").finding("role-dropped")
    assert [each["count"] for each in longer["touched"] if each["kind"] == "calls"] == [4]


def test_a_trail_without_calls_says_whether_it_would_have_them(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    trail = tmp_path / "web.jsonl"
    trail.write_bytes(_line("shop.v1.Stock/Other", "web", 1) + b"\n")
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    ran = review(*AGAINST, "--audit", trail, "--json")

    def told(method: str) -> str:
        touched = ran.finding("max-deadline-lowered", method)["touched"]
        return str(next(each["text"] for each in touched if each["kind"] == "calls"))

    assert "did not ask for lines of allowed calls" in told("Get")
    assert "did not ask" not in told("Put")


def test_a_renamed_method_is_followed_to_its_bindings_and_its_calls(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    trail = tmp_path / "desk.jsonl"
    trail.write_bytes(_line("shop.v1.Stock/Put", "desk", 1) + b"\n")
    repository.replace("rpc Put(", "rpc Store(")
    ran = review(*AGAINST, "--audit", trail, "--json")
    moved = ran.finding("method-moved")
    assert moved["subject"] == "shop.v1.Stock/Store"
    assert who(moved, "loses") == []
    assert who(moved, "calls") == ["desk"]


def test_a_service_that_moved_to_another_package_and_file_is_compared_there(
    repository: Repository, review: Review
) -> None:
    text = repository.contract.read_text()
    repository.contract.unlink()
    other = repository.top / "protos/store/v2/store.proto"
    other.parent.mkdir(parents=True)
    changed = text.replace("package shop.v1", "package store.v2").replace("lte: 100}", "lte: 50}")
    other.write_text(changed.replace('roles: "shop.writer"', 'roles: "shop.reader"', 1))
    ran = review(*AGAINST, "--json")
    own = {each for each in ran.found if each[1].islower()}
    assert own == {
        ("store.v2.Stock/Get", "method-moved", "breaks-callers"),
        ("store.v2.Stock/Put", "method-moved", "breaks-callers"),
        ("store.v2.Stock/Put", "role-dropped", "breaks-callers"),
        ("store.v2.Stock/Put", "role-added", "widens-access"),
        ("store.v2.PutRequest.count", "validation-tightened", "breaks-callers"),
    }
    assert who(ran.finding("role-added"), "gains") == ["web"]


def test_a_file_that_only_moves_changes_no_policy(repository: Repository, review: Review) -> None:
    repository.git("mv", "protos/shop/v1/shop.proto", "protos/shop/v1/stock.proto")
    assert {rule for _, rule, _ in review(*AGAINST, "--json").found} == {"FILE_NO_DELETE"}
    (repository.top / "review.yaml").write_text("wire: WIRE_JSON\n")
    assert review(*AGAINST).code == 0


def test_a_method_that_is_gone_names_who_loses_it(repository: Repository, review: Review) -> None:
    text = repository.contract.read_text()
    start = text.index("  rpc Put")
    repository.contract.write_text(text[:start] + text[text.index("}\n\nenum") :])
    ran = review(*AGAINST, "--json")
    assert who(ran.finding("method-removed"), "loses") == ["desk"]


def test_a_new_open_method_widens_access_and_another_new_one_does_not(
    repository: Repository, review: Review
) -> None:
    repository.replace(
        "  rpc Get(",
        "  rpc Peek(PutRequest) returns (PutResponse) {\n"
        "    option (meshpact.policy.v1.method) = {\n"
        '      access: {unauthenticated: {reason: "All may look."}}\n'
        "    };\n  }\n  rpc Look(PutRequest) returns (PutResponse);\n  rpc Get(",
    )
    ran = review(*AGAINST, "--json")
    assert ran.found == {
        ("shop.v1.Stock/Peek", "unauthenticated", "widens-access"),
        ("shop.v1.Stock/Peek", "method-added", "note"),
        ("shop.v1.Stock/Look", "method-added", "note"),
    }


def test_an_error_that_changes_is_told_once_by_its_own_name(
    repository: Repository, review: Review
) -> None:
    repository.replace("CODE_FAILED_PRECONDITION", "CODE_ABORTED")
    repository.replace('message: "Only {left} of {sku}."', 'message: "Only {left}."')
    repository.replace('["sku", "left"]', '["left", "shelf"]')
    repository.replace('domain = "shop.example"', 'domain = "stock.example"')
    error = "shop.v1.STOCK_ERROR_SOLD_OUT"
    assert review(*AGAINST, "--json").found == {
        (error, "error-code", "breaks-callers"),
        (error, "error-domain", "breaks-callers"),
        (error, "error-metadata-removed", "breaks-callers"),
        (error, "error-metadata-added", "note"),
        (error, "error-message", "note"),
    }


def test_redaction_removed_and_added_are_told(repository: Repository, review: Review) -> None:
    repository.replace(" [debug_redact = true]", "")
    repository.replace("int64 left = 1;", "int64 left = 1 [debug_redact = true];")
    assert review(*AGAINST, "--json").found == {
        ("shop.v1.PutRequest.who", "redaction-removed", "widens-access"),
        ("shop.v1.GetResponse.left", "redaction-added", "note"),
    }


def test_redaction_is_not_lost_unseen_with_a_new_number(
    repository: Repository, review: Review
) -> None:
    repository.replace("string who = 3 [debug_redact = true];", "reserved 3;\n  string who = 4;")
    (repository.top / "review.yaml").write_text("wire: WIRE\n")
    assert review(*AGAINST, "--json").found == {
        ("shop.v1.PutRequest.who", "redaction-removed", "widens-access"),
    }


def test_a_service_that_loses_its_policy_leaves_methods_without_one(
    repository: Repository, review: Review
) -> None:
    text = repository.contract.read_text()
    start = text.index("  option (meshpact.policy.v1.service)")
    whole = text[start : text.index("  rpc Get(")]
    repository.replace(whole, "")
    repository.replace(
        "audit: {level: AUDIT_LEVEL_ALL}", "audit: {level: AUDIT_LEVEL_ALL} " + PARTS
    )
    ran = review(*AGAINST, "--json")
    assert ran.found == {("shop.v1.Stock/Get", "policy-removed", "breaks-callers")}
    assert who(ran.finding("policy-removed"), "loses") == ["web"]
    repository.commit("Lose it")
    repository.replace("service Stock {\n", f"service Stock {{\n{whole}")
    back = review(*AGAINST, "--json")
    assert back.found == {("shop.v1.Stock/Get", "policy-added", "note")}
    assert who(back.finding("policy-added"), "gains") == ["web"]


PARTS = "deadline: {default: {seconds: 1} max: {seconds: 10}}"
