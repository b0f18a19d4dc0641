"""mesh.yaml: what it means, and how each fault in it is named."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshpact.mesh.config import MeshConfig, MeshFileError, Mode, TokenType, load
from meshpact.mesh.model import Subject

WHOLE = """\
trust_domain: acme.example
services:
  inventory:
    factory: reference.retail.inventory:make
    address: 127.0.0.1:7001
    replicas: 2
    storage: sqlite:///inventory.db
    calls: [acme.retail.store.v1.StoreService/*, acme.shipping.v1.Shipping/Plan]
  orders:
    id: spiffe://acme.example/order-desk
  driver:
roles:
  inventory.reader:
    workloads: [driver, spiffe://partner.example/ns/*]
    groups: [{issuer: https://other.example, name: clerks}]
  inventory.writer:
    workloads: [orders]
    users:
      - {issuer: https://issuer.example, name: alice}
      - {issuer: https://issuer.example, name: 4711}
    includes: [inventory.reader]
    mode: observe
bindings_file: data/bindings.jsonl
networks:
  mesh: [127.0.0.0/8, "::1/128"]
  services: {inventory: [127.0.0.1/32]}
  methods: {acme.retail.store.v1.StoreService/*: []}
  trusted_proxies: [10.0.0.1, unix]
methods: {acme.retail.store.v1.StoreService/*: {mode: observe}}
issuers:
  - issuer: https://issuer.example
    file: keys/jwks.json
    audiences: [shop]
    algorithms: [ES256]
  - issuer: https://other.example
    discovery: https://other.example/.well-known/oauth-authorization-server
    audiences: [shop]
    token_type: JWT
overlay: overlay.yaml
limits:
  max_metadata_bytes: 8192
  max_connection_age: 5m
  drain: 1.5
telemetry: {sample_ratio: 0.1, otlp_endpoint: 127.0.0.1:4317, metrics_address: 127.0.0.1:9464}
driver: {run: reference.retail.driver:run, identity: driver}
"""


def mesh(path: Path, text: str) -> MeshConfig:
    file = path / "mesh.yaml"
    file.write_text(text)
    return load(file)


def faults(path: Path, text: str) -> list[str]:
    """The faults as `line place: found...`, without the file's name."""
    with pytest.raises(MeshFileError) as refusal:
        mesh(path, text)
    assert all(problem.path == path / "mesh.yaml" for problem in refusal.value.problems)
    prefix = str(path / "mesh.yaml")
    return [line.removeprefix(prefix).lstrip(":") for line in str(refusal.value).splitlines()]


def test_a_whole_mesh_is_read(tmp_path: Path) -> None:
    config = mesh(tmp_path, WHOLE)
    inventory, orders = config.services["inventory"], config.services["orders"]
    assert inventory.id == "spiffe://acme.example/inventory"
    assert (inventory.replicas, inventory.address) == (2, "127.0.0.1:7001")
    assert str(config.service_id("orders")) == orders.id == "spiffe://acme.example/order-desk"
    assert config.services["driver"].factory == ""
    assert config.roles["inventory.reader"].workloads == (
        "spiffe://acme.example/driver",
        "spiffe://partner.example/ns/*",
    )
    writer = config.roles["inventory.writer"]
    assert writer.workloads == ("spiffe://acme.example/order-desk",)
    assert [(user.issuer, user.name) for user in writer.users if not isinstance(user, str)] == [
        ("https://issuer.example", "alice"),
        ("https://issuer.example", "4711"),
    ]
    assert writer.mode is Mode.OBSERVE
    assert config.bindings_file == str(tmp_path / "data" / "bindings.jsonl")
    assert config.overlay == str(tmp_path / "overlay.yaml")
    assert config.issuers[0].file == str(tmp_path / "keys" / "jwks.json")
    assert config.issuers[1].token_type is TokenType.JWT
    assert config.methods["acme.retail.store.v1.StoreService/*"].mode is Mode.OBSERVE
    assert config.networks.methods == {"acme.retail.store.v1.StoreService/*": ()}
    assert (config.limits.max_metadata_bytes, config.limits.max_connection_age) == (8192, 300.0)
    assert config.limits.drain == 1.5
    assert config.telemetry.sample_ratio == 0.1
    assert config.driver is not None
    assert config.driver.identity == "driver"


def test_a_plain_name_is_one_of_the_only_issuer(tmp_path: Path) -> None:
    config = mesh(
        tmp_path,
        "trust_domain: acme.example\nissuers: [{issuer: a, audiences: [b], file: c}]\n"
        "roles: {clerk: {users: [alice], groups: [staff, {issuer: a, name: guests}]}}\n",
    )
    clerk = config.roles["clerk"]
    assert clerk.users == (Subject(issuer="a", name="alice"),)
    assert clerk.groups == (Subject(issuer="a", name="staff"), Subject(issuer="a", name="guests"))


def test_a_plain_name_is_a_fault_where_there_are_several_issuers(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        "trust_domain: acme.example\nissuers:\n  - {issuer: a, audiences: [x], file: c}\n"
        "  - {issuer: b, audiences: [x], file: c}\nroles:\n  clerk:\n    users: [alice]\n"
        "    groups:\n    - {issuer: a, name: staff}\n    - {issuer: c, name: staff}\n",
    )
    assert found == [
        "7: roles.clerk.users[0]: found 'alice', and this mesh has 2 issuers; allowed: a name with "
        "its issuer. Write {issuer: a or b, name: alice}",
        "10: roles.clerk.groups[1]: unknown issuer 'c'; allowed: a, b. "
        "Add it: issuers: [issuer: c]",
    ]


def test_a_mesh_needs_its_trust_domain_only(tmp_path: Path) -> None:
    config = mesh(tmp_path, "trust_domain: acme.example\n")
    assert config.services == {}
    assert config.networks.mesh is None
    assert config.limits.max_metadata_bytes == 16384
    assert config.databases.connections == 7
    assert config.databases.keep_events == 30 * 86_400
    assert str(config.domain) == "acme.example"


@pytest.mark.parametrize(
    ("addition", "fault"),
    [
        ("services: {Inventory: {}}", "services.Inventory.id: spiffe://acme.example/Inventory has"),
        ("services: {a.b: {}}", "services.a.b.id: spiffe://acme.example/a.b has no DNS name"),
        ("services: {a: {id: acme}}", "services.a.id: 'acme' is not a SPIFFE ID"),
        ("services: {a: {id: 'spiffe://b.example/a'}}", "services.a.id: found spiffe://b.example/"),
        (
            "services: {a: {}, b: {id: 'spiffe://acme.example/a'}}",
            "services.b: has the same ID as a",
        ),
        ("services: {a: {factory: x}}", "services.a.factory: found 'x'; allowed: module:callable"),
        (
            "services: {a: {address: '7001'}}",
            "services.a.address: found '7001'; allowed: host:port",
        ),
        ("services: {a: {address: 'h:65536'}}", "services.a.address: found 'h:65536'"),
        (
            "services: {a: {address: 'h:1'}, b: {address: 'h:1'}}",
            "services.b.address: h:1 is the address of a too. Choose another port",
        ),
        ("services: {a: {replicas: 0}}", "services.a.replicas: found '0'; allowed: a whole number"),
        ("services: {a: {replicas: 1.5}}", "services.a.replicas: found '1.5'"),
        ("services: {a: {replcas: 1}}", "services.a.replcas: unknown key; allowed: id, factory"),
        (
            "services: {a: {calls: [b]}}",
            "services.a.calls[0]: found 'b'; allowed: package.Service/",
        ),
        ("services: {a: {calls: b.C/D}}", "services.a.calls: found 'b.C/D'; allowed: a list"),
        (
            'services: {a: {factory: "m:f", serves: [b/C]}}',
            "services.a.serves[0]: found 'b/C'; allowed: package.Service",
        ),
        (
            'services: {a: {factory: "m:f", serves: [b.C, b.C]}}',
            "services.a.serves[1]: b.C stands twice",
        ),
        (
            "services: {a: {serves: [b.C]}}",
            "services.a.serves: neither a factory nor a command is given",
        ),
        ("services: [a]", "services: found a list; allowed: a mapping"),
        ("services: {a: [b]}", "services.a: found a list; allowed: a mapping with the keys id"),
        ("roles: {Writer: {}}", "roles.Writer: 'Writer' is not the name of a role"),
        ("roles: {a: {includes: [b]}}", "roles.a.includes[0]: unknown role 'b'; allowed: a."),
        ("roles: {a: {includes: [a]}}", "roles.a.includes: the roles include each other: a -> a"),
        ("roles: {a: {workloads: [b]}}", "roles.a.workloads[0]: unknown service 'b'; allowed: a s"),
        ("roles: {a: {workloads: ['spiffe://a/b/']}}", "roles.a.workloads[0]: the path '/b/' ends"),
        ("roles: {a: {workloads: ['spiffe://a']}}", "roles.a.workloads[0]: spiffe://a names no wo"),
        ("roles: {a: {workloads: ['spiffe://a/b*']}}", "roles.a.workloads[0]: spiffe://a/b*: a"),
        ("roles: {a: {workloads: ['spiffe://*/b']}}", "roles.a.workloads[0]: spiffe://*/b: a *"),
        ("roles: {a: {users: ['*']}}", "roles.a.users[0]: found '*': users and groups have no wi"),
        ("roles: {a: {users: [{name: b}]}}", "roles.a.users[0]: the key issuer is missing. Add"),
        ("methods: {a.B/Get*: {mode: observe}}", "methods.a.B/Get*: found 'a.B/Get*'; allowed: p"),
        ("methods: {a.B/Get: observe}", "methods.a.B/Get: found 'observe'; allowed: a mapping"),
        ("roles: {a: {mode: watch}}", "roles.a.mode: found 'watch'; allowed: enforce or observe"),
        ("roles: {a: {users: ['']}}", "roles.a.users[0]: found an empty text"),
        ("roles: {a: {users: [yes]}}", "roles.a.users[0]: found 'yes'; allowed: a text. If it is"),
        ("roles: {a: {users: [[b]]}}", "roles.a.users[0]: found a list; allowed: a text"),
        ("bindings_file: ''", "bindings_file: found an empty text"),
        (
            "networks: {mesh: [10.0.0.1/8]}",
            "networks.mesh[0]: found '10.0.0.1/8'; allowed: a netwo",
        ),
        ("networks: {mesh: [here]}", "networks.mesh[0]: found 'here'"),
        ("networks: {services: {a: []}}", "networks.services.a: unknown service 'a'"),
        (
            "networks: {methods: {a: []}}",
            "networks.methods.a: found 'a'; allowed: package.Service/",
        ),
        ("networks: {trusted_proxies: [x]}", "networks.trusted_proxies[0]: found 'x'"),
        ("issuers: [{}]", "issuers[0]: the key issuer is missing. Add issuer: ..."),
        (
            "issuers: [{issuer: a, audiences: [b]}]",
            "issuers[0]: no source of keys given; allowed: exactly one of jwks, discovery, file",
        ),
        (
            "issuers: [{issuer: a, audiences: [b], file: c, jwks: 'https://d'}]",
            "issuers[0]: jwks and file given; allowed: exactly one of",
        ),
        ("issuers: [{issuer: a, audiences: [], file: c}]", "issuers[0].audiences: found an empty"),
        (
            "issuers: [{issuer: a, audiences: [b], jwks: 'http://keys.example'}]",
            "issuers[0].jwks: found 'http://keys.example'; allowed: a URL with https",
        ),
        (
            "issuers: [{issuer: a, audiences: [b], jwks: 'https://u:p@keys.example'}]",
            "issuers[0].jwks: found",
        ),
        (
            "issuers: [{issuer: a, audiences: [b], file: c, algorithms: [none]}]",
            "issuers[0].algorithms[0]: found 'none'; allowed: ES256",
        ),
        (
            "issuers: [{issuer: a, audiences: [b], file: c, algorithms: [HS256]}]",
            "issuers[0].algorithms[0]: found 'HS256'",
        ),
        (
            "issuers: [{issuer: a, audiences: [b], file: c}, {issuer: a, audiences: [b], file: c}]",
            "issuers[1].issuer: 'a' stands twice",
        ),
        ("limits: {max_connection_age: 5 minutes}", "limits.max_connection_age: found '5 minutes'"),
        ("limits: {max_connection_age: 8000h}", "limits.max_connection_age: found '8000h'"),
        ("limits: {max_connections: 2147483648}", "limits.max_connections: found '2147483648'"),
        ("databases: {connections: 1}", "databases.connections: found '1'"),
        ("databases: {keep_events: 100000h}", "databases.keep_events: found '100000h'"),
        ("databases: {prune_at_once: 0}", "databases.prune_at_once: found '0'"),
        ("limits: {max_connection_age: 0}", "limits.max_connection_age: found '0'"),
        ("limits: {max_connection_age: .inf}", "limits.max_connection_age: found '.inf'"),
        ("limits: {max_metadata_bytes: 1e3}", "limits.max_metadata_bytes: found '1e3'"),
        ("limits: {max_metadata_bytes: true}", "limits.max_metadata_bytes: found 'true'"),
        (
            "telemetry: {sample_ratio: 1.1}",
            "telemetry.sample_ratio: found '1.1'; allowed: a number",
        ),
        ("telemetry: {sample_ratio: .nan}", "telemetry.sample_ratio: found '.nan'"),
        ("telemetry: {metrics_address: here}", "telemetry.metrics_address: found 'here'"),
        ("driver: {run: a.b:c, identity: d}", "driver.identity: unknown service 'd'"),
        ("driver: {run: a.b, identity: d}", "driver.run: found 'a.b'; allowed: module:callable"),
        ("examples: [{method: a.B/*, identity: d}]", "examples[0].method: found 'a.B/*'; allowed"),
        ("examples: [{method: a.B/C, identity: d}]", "examples[0].identity: unknown service 'd'"),
        ("rolls: {}", "rolls: unknown key; allowed: trust_domain, services, roles"),
        ("? [a]\n: b", "?: a key that is not a text"),
    ],
)
def test_a_fault_is_named_with_its_line_and_place(
    tmp_path: Path, addition: str, fault: str
) -> None:
    found = faults(tmp_path, f"trust_domain: acme.example\n\n{addition}\n")
    lines = [line.split(":", 1)[0] for line in found]
    assert any(line.split(": ", 1)[1].startswith(fault) for line in found), found
    assert set(lines) <= {"3", "4"}


def test_a_misspelt_word_is_met_with_the_right_one(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, "trust_domain: acme.example\nservices: {orders: {adress: a}}\n")
    assert found.endswith("Did you mean address?")
    (found,) = faults(
        tmp_path,
        "trust_domain: acme.example\nservices: {orders: {}}\nroles: {r: {workloads: [order]}}\n",
    )
    assert found.endswith("Did you mean orders?")


def test_all_faults_of_a_file_are_listed_in_the_order_of_lines(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """\
trust_domain: acme.example
services:
  a: {replicas: none}
  b: {adress: x}
roles:
  r:
    workloads: [c]
    includes: [s]
networks: {mesh: [x]}
""",
    )
    assert [line.split(":")[0] for line in found] == ["3", "4", "7", "8", "9"]


def test_a_broken_service_is_still_known_by_its_name(tmp_path: Path) -> None:
    (found,) = faults(
        tmp_path, "trust_domain: a.example\nservices: {a: [x]}\nroles: {r: {workloads: [a]}}\n"
    )
    assert found.startswith("2: services.a: found a list")


def test_a_key_that_stands_twice_is_a_fault(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, "trust_domain: a.example\nservices:\n  a: {}\n  a: {}\n")
    assert found == "4: services.a: the key stands here and in line 3. Keep one of them"


def test_a_loop_of_includes_is_shown_whole(tmp_path: Path) -> None:
    (found,) = faults(
        tmp_path,
        "trust_domain: a.example\n"
        "roles: {a: {includes: [b]}, b: {includes: [c]}, c: {includes: [a]}, d: {includes: [a]}}\n",
    )
    loop = found.split("each other: ")[1].split(".")[0].split(" -> ")
    assert loop[0] == loop[-1]
    assert set(loop) == {"a", "b", "c"}
    assert set(itertools.pairwise(loop)) == {("a", "b"), ("b", "c"), ("c", "a")}


def test_more_than_a_thousand_bindings_belong_into_a_file_of_their_own(tmp_path: Path) -> None:
    users = ", ".join(f"u{number}" for number in range(1001))
    (found,) = faults(tmp_path, f"trust_domain: a.example\nroles: {{r: {{users: [{users}]}}}}\n")
    assert "1001 role bindings; allowed: at most 1000. Move them to a bindings_file" in found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1: the file is empty. Write at least: trust_domain"),
        ("# nothing\n", "1: the file is empty"),
        ("trust_domain: [\n", "2: is not YAML"),
        ("trust_domain: a\n\tservices: b\n", "2: is not YAML"),
        ("- a\n", "1: found a list; allowed: a mapping with the keys trust_domain"),
        ("services: {}\n", "1: the key trust_domain is missing"),
        ("trust_domain: Acme\n", "1: trust_domain: 'Acme' is not a trust domain"),
        ("trust_domain: a.example\n---\nb: c\n", "2: is not YAML: expected a single document"),
        ("trust_domain: !!python/object:os.system a\n", "1: trust_domain"),
        ("[" * 500_000 + "]" * 500_000, "1: is nested more than 32 deep"),
        ("- " * 500_000 + "a", "1: is nested more than 32 deep"),
        ("trust_domain: &a x\nservices: *a\n", "2: an alias, *a, stands here. Write the value"),
    ],
)
def test_a_file_that_is_no_mesh_at_all_is_met_with_one_sentence(
    tmp_path: Path, text: str, fault: str
) -> None:
    if text.startswith("trust_domain: !!python"):
        # Tags run nothing: the value is the text it was.
        assert str(mesh(tmp_path, text).domain) == "a"
        return
    found = faults(tmp_path, text)
    assert found[0].removeprefix(" ").startswith(fault)


def test_bytes_that_are_no_text_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_bytes(b"trust_domain: a.example\n# \xff\n")
    with pytest.raises(MeshFileError, match=r"mesh\.yaml:2: is not UTF-8"):
        load(tmp_path / "mesh.yaml")


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(MeshFileError, match=r"none\.yaml: cannot be read: No such file"):
        load(tmp_path / "none.yaml")


words = st.text("ab{}[]:,-*&!|>'\"#%@` \n\t1.e", max_size=30)


@given(st.lists(words, max_size=6).map("\n".join))
def test_any_text_is_a_mesh_or_a_list_of_faults(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    for head in ("", "trust_domain: a.example\n", "trust_domain: a\nroles:\n  r: "):
        content = head + text
        file.write_text(content)
        try:
            load(file)
        except MeshFileError as error:
            assert error.problems
            assert all(problem.line <= content.count("\n") + 2 for problem in error.problems)
