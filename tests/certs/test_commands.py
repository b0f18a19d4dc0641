"""`meshpact certs` and `meshpact token` as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

import forgedcerts as forged
from certsshell import Shell, new_shell

BUNDLE = "trust/acme.example.pem"


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    return new_shell(tmp_path, capsys, monkeypatch)


@pytest.fixture
def ready(shell: Shell) -> Shell:
    assert shell.on_state("certs", "init", "--trust-domain", "acme.example").code == 0
    assert shell.on_state("certs", "issue", "inventory").code == 0
    return shell


def test_init_says_what_is_where_and_what_comes_next(shell: Shell) -> None:
    first = shell.on_state("certs", "init", "--trust-domain", "acme.example")
    assert first.code == 0
    assert str(shell.state / BUNDLE) in first.out
    assert "meshpact certs issue" in first.out
    assert shell.on_state("certs", "init", "--trust-domain", "acme.example") == first
    as_json = shell.on_state("certs", "init", "--trust-domain", "acme.example", "--json")
    facts = json.loads(as_json.out)
    assert facts["trust_domain"] == "acme.example"
    assert Path(facts["root_key"]).is_file()
    assert facts["root_key"] in first.out


def test_the_state_lies_in_the_working_directory_unless_said_otherwise(shell: Shell) -> None:
    assert shell("certs", "init", "--trust-domain", "acme.example").code == 0
    assert (shell.root / ".meshpact" / BUNDLE).is_file()


def test_issue_and_show_say_the_same_in_words(ready: Shell) -> None:
    issued = ready.on_state("certs", "issue", "orders", "--lifetime", "12h")
    assert issued.code == 0
    assert "workload: spiffe://acme.example/orders" in issued.out
    assert "orders.acme.example" in issued.out
    assert "(for 11 hours more)" in issued.out
    shown = ready.on_state("certs", "show", "orders")
    assert shown.code == 0
    assert "workload: spiffe://acme.example/orders" in shown.out
    assert "intermediate: spiffe://acme.example" in shown.out
    by_file = ready.on_state("certs", "show", ready.state / "identities/orders/cert.pem")
    assert by_file == shown
    assert "PRIVATE" not in issued.out + shown.out


def test_show_gives_every_fact_as_json(ready: Shell) -> None:
    facts = json.loads(ready.on_state("certs", "show", "inventory", "--json").out)
    assert [each["kind"] for each in facts] == ["workload", "intermediate"]
    assert facts[0]["spiffe_ids"] == ["spiffe://acme.example/inventory"]
    assert facts[0]["dns_names"] == ["inventory.acme.example"]
    assert (facts[0]["expired"], facts[0]["rule"]) == (False, "")
    root = json.loads(ready.on_state("certs", "show", ready.state / BUNDLE, "--json").out)
    assert root[0]["kind"] == "root"


def test_show_names_the_rule_that_a_certificate_breaks(ready: Shell) -> None:
    file = ready.root / "odd.pem"
    file.write_bytes(forged.pem(forged.leaf(forged.root(), usages=frozenset())))
    shown = ready.on_state("certs", "show", file)
    assert shown.code == 0
    assert "BROKEN     key-usage:" in shown.out


def test_an_id_other_than_the_services_name_can_be_issued(ready: Shell) -> None:
    done = ready.on_state("certs", "issue", "desk", "--id", "spiffe://acme.example/order-desk")
    assert done.code == 0
    assert "order-desk.acme.example" in done.out
    assert (ready.state / "identities/desk/cert.pem").is_file()


def test_a_service_of_mesh_yaml_gets_the_id_that_stands_there(ready: Shell) -> None:
    (ready.root / "mesh.yaml").write_text(
        "trust_domain: acme.example\nservices: {desk: {id: 'spiffe://acme.example/order-desk'}}\n"
    )
    assert "workload: spiffe://acme.example/order-desk" in ready("certs", "issue", "desk").out
    assert "workload: spiffe://acme.example/till" in ready("certs", "issue", "till").out


def test_verify_passes_what_a_server_would_pass(ready: Shell) -> None:
    file, bundle = ready.state / "identities/inventory/cert.pem", ready.state / BUNDLE
    done = ready("certs", "verify", file, "--trust", bundle)
    assert (done.code, done.err) == (0, "")
    assert "is valid: spiffe://acme.example/inventory" in done.out
    as_json = ready("certs", "verify", file, "--trust", bundle, "--json")
    assert json.loads(as_json.out) == {
        "valid": True,
        "spiffe_id": "spiffe://acme.example/inventory",
        "note": "",
    }


def test_verify_takes_the_bundles_of_the_state_when_none_is_given(ready: Shell) -> None:
    file = ready.state / "identities/inventory/cert.pem"
    assert ready("certs", "verify", file).code == 0
    assert ready("certs", "verify", "inventory").code == 0
    done = ready("certs", "verify", file, "--state", ready.root / "nowhere")
    assert done.code == 1
    assert "(rule: trust-domain)" in done.out


def test_verify_names_the_broken_rule_and_ends_with_1(ready: Shell) -> None:
    ready.root.joinpath("other.pem").write_bytes(forged.pem(forged.root().certificate))
    file = ready.state / "identities/inventory/cert.pem"
    done = ready("certs", "verify", file, "--trust", ready.root / "other.pem")
    assert done.code == 1
    assert "(rule: chain)" in done.out
    as_json = ready("certs", "verify", file, "--trust", ready.root / "other.pem", "--json")
    assert as_json.code == 1
    assert json.loads(as_json.out)["rule"] == "chain"
    partner = ready.root / "partner.pem"
    partner.write_bytes(forged.pem(forged.root("partner.example").certificate))
    assert "(rule: trust-domain)" in ready("certs", "verify", file, "--trust", partner).out


def test_verify_notes_what_no_client_can_dial(ready: Shell) -> None:
    root = forged.root()
    (ready.root / "root.pem").write_bytes(forged.pem(root.certificate))
    (ready.root / "leaf.pem").write_bytes(forged.pem(forged.leaf(root, dns=[])))
    done = ready("certs", "verify", ready.root / "leaf.pem", "--trust", ready.root / "root.pem")
    assert done.code == 0
    assert "Note: no client can reach it as a server" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["certs", "init", "--trust-domain", "Acme"], "'Acme' is not a trust domain"),
        (["certs", "issue", "a.b"], "has no DNS name"),
        (["certs", "issue", "../x"], "not allowed"),
        (["certs", "issue", "orders", "--id", "spiffe://other.example/orders"], "trust domain"),
        (["certs", "issue", "orders", "--lifetime", "25h"], "24 h"),
        (["certs", "issue", "orders", "--lifetime", "soon"], "500ms, 30s, 5m, 12h"),
        (["certs", "issue", "orders", "--lifetime", "999999999999h"], "allowed: a number of sec"),
        (["certs", "show", "nobody"], "(there: inventory)"),
        (["certs", "show", ".meshpact/ca/1/root.key.pem"], "no readable PEM certificate"),
        (["token", "--user", "alice"], "say --audience"),
        (["token", "--user", "", "--audience", "a"], "user is empty"),
        (["token", "--user", "a", "--audience", "a", "--scope", "a b"], "is not a scope"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_allowed(
    ready: Shell, words: list[str], said: str
) -> None:
    done = ready(*words)
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_without_a_ca_issue_says_how_to_make_one(shell: Shell) -> None:
    done = shell.on_state("certs", "issue", "inventory")
    assert done.code == 1
    assert "meshpact certs init --trust-domain" in done.err


def test_broken_state_names_the_file(ready: Shell) -> None:
    (ready.state / "ca/1/intermediate.key.pem").unlink()
    done = ready.on_state("certs", "init", "--trust-domain", "acme.example")
    assert done.code == 1
    assert "intermediate.key.pem is missing" in done.err


def claims(token: str, state: Path) -> dict[str, object]:
    keys = KeySet.import_key_set(json.loads((state / "issuers/local/jwks.json").read_text()))
    return dict(jwt.decode(token, keys, algorithms=["ES256"]).claims)


def test_token_prints_the_token_alone_and_a_hint_beside_it(ready: Shell) -> None:
    done = ready.on_state(
        *("token", "--user", "alice", "--audience", "shop", "--lifetime", "5m"),
        *("--scope", "a", "--scope", "b", "--group", "clerks"),
    )
    assert done.code == 0
    token = done.out.strip()
    assert done.out == f"{token}\n"
    read = claims(token, ready.state)
    assert (read["sub"], read["aud"], read["scope"]) == ("alice", "shop", "a b")
    assert read["groups"] == ["clerks"]
    assert token not in done.err
    assert done.err.count("\n") == 1
    assert "authorization: Bearer" in done.err


def test_token_takes_issuer_and_audiences_from_mesh_yaml(ready: Shell) -> None:
    (ready.root / "mesh.yaml").write_text(
        "trust_domain: acme.example\n"
        "issuers: [{issuer: 'https://dev.example', file: .meshpact/issuers/local/jwks.json, "
        "audiences: [shop, books]}]\n"
    )
    done = ready("token", "--user", "alice")
    assert done.code == 0
    read = claims(done.out.strip(), ready.state)
    assert (read["iss"], read["aud"]) == ("https://dev.example", ["shop", "books"])
    done = ready("token", "--user", "alice", "--audience", "x", "--issuer", "https://other.example")
    read = claims(done.out.strip(), ready.state)
    assert (read["iss"], read["aud"]) == ("https://other.example", "x")


def test_a_faulty_mesh_yaml_is_met_with_its_line(ready: Shell) -> None:
    (ready.root / "mesh.yaml").write_text("trust_domain: acme.example\nrolls: {}\n")
    done = ready("token", "--user", "alice")
    assert done.code == 2
    assert "mesh.yaml:2: rolls: unknown key" in done.err
    assert "Did you mean roles?" in done.err


@pytest.mark.parametrize("command", ["init", "issue", "show", "verify"])
def test_each_help_has_an_example(shell: Shell, command: str) -> None:
    done = shell("certs", command, "--help")
    assert done.code == 0
    assert f"Example: meshpact certs {command}" in done.out


def test_the_help_of_token_has_an_example(shell: Shell) -> None:
    assert "Example: meshpact token --user" in shell("token", "--help").out
