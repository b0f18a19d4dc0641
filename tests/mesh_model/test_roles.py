"""Role bindings: who holds a role, from mesh.yaml and from a bindings_file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshpact.mesh.config import Issuer, MeshConfig, MeshFileError, Mode, Role, load
from meshpact.mesh.model import Method, Subject
from meshpact.mesh.roles import RoleBindings

NOBODY: frozenset[str] = frozenset()
TD = "spiffe://acme.example"
ISSUER = "https://issuer.example"
OTHER = "https://other.example"


def compiled(**roles: Role) -> RoleBindings:
    named = {name.replace("_", "."): role for name, role in roles.items()}
    return RoleBindings.compile(
        MeshConfig(trust_domain="acme.example", roles=named, issuers=(issuer(ISSUER),))
    )


def issuer(name: str) -> Issuer:
    return Issuer(issuer=name, file="/jwks.json", audiences=("shop",))


def test_a_workload_holds_the_roles_that_name_it() -> None:
    bindings = compiled(
        a=Role(workloads=(f"{TD}/orders",)), b=Role(workloads=(f"{TD}/orders", f"{TD}/store"))
    )
    assert bindings.roles_of_workload(f"{TD}/orders") == {"a", "b"}
    assert bindings.roles_of_workload(f"{TD}/store") == {"b"}
    for stranger in (
        f"{TD}/order",
        f"{TD}/orders/x",
        "spiffe://other.example/orders",
        "",
        "orders",
    ):
        assert bindings.roles_of_workload(stranger) == NOBODY


def test_a_prefix_binds_what_is_below_it_and_nothing_beside_it() -> None:
    bindings = compiled(
        shop=Role(workloads=(f"{TD}/ns/shop/*",)),
        all=Role(workloads=(f"{TD}/*",)),
        one=Role(workloads=(f"{TD}/ns/shop/web",)),
    )
    assert bindings.roles_of_workload(f"{TD}/ns/shop/web") == {"shop", "all", "one"}
    assert bindings.roles_of_workload(f"{TD}/ns/shop/a/b") == {"shop", "all"}
    assert bindings.roles_of_workload(f"{TD}/ns/shop") == {"all"}
    assert bindings.roles_of_workload(f"{TD}/ns/shopping/web") == {"all"}
    assert bindings.roles_of_workload("spiffe://acme.example.evil/ns/shop/web") == NOBODY
    assert bindings.roles_of_workload("spiffe://acme.example") == NOBODY


def test_a_user_holds_roles_by_name_and_by_group() -> None:
    bindings = compiled(
        a=Role(users=("alice",)), b=Role(groups=("clerks",)), c=Role(groups=("alice",))
    )
    assert bindings.roles_of_user(ISSUER, "alice", NOBODY) == {"a"}
    assert bindings.roles_of_user(ISSUER, "alice", frozenset({"clerks", "x"})) == {"a", "b"}
    assert bindings.roles_of_user(ISSUER, "bob", frozenset({"clerks"})) == {"b"}
    assert bindings.roles_of_user(ISSUER, "clerks", frozenset({"bob"})) == NOBODY


def test_holders_of_a_role_hold_what_it_includes_at_any_depth() -> None:
    bindings = compiled(
        admin=Role(users=("root",), includes=("writer",)),
        writer=Role(users=("alice",), includes=("reader",)),
        reader=Role(users=("bob",)),
    )
    assert bindings.roles_of_user(ISSUER, "root", NOBODY) == {"admin", "writer", "reader"}
    assert bindings.roles_of_user(ISSUER, "alice", NOBODY) == {"writer", "reader"}
    assert bindings.roles_of_user(ISSUER, "bob", NOBODY) == {"reader"}


def test_the_same_name_at_two_issuers_is_two_people() -> None:
    bindings = RoleBindings.compile(
        MeshConfig(
            trust_domain="acme.example",
            issuers=(issuer(ISSUER), issuer(OTHER)),
            roles={
                "a": Role(users=(Subject(issuer=ISSUER, name="alice"),)),
                "b": Role(groups=(Subject(issuer=OTHER, name="clerks"),)),
            },
        )
    )
    clerks = frozenset({"clerks"})
    assert bindings.roles_of_user(ISSUER, "alice", clerks) == {"a"}
    assert bindings.roles_of_user(OTHER, "alice", clerks) == {"b"}
    assert bindings.roles_of_user("https://else.example", "alice", clerks) == NOBODY
    assert list(bindings.users) == [Subject(issuer=ISSUER, name="alice")]
    assert list(bindings.groups) == [Subject(issuer=OTHER, name="clerks")]


def test_a_method_is_observed_by_its_name_before_its_service() -> None:
    observe = Method(mode=Mode.OBSERVE)
    bindings = RoleBindings.compile(
        MeshConfig(
            trust_domain="acme.example",
            methods={"a.v1.S/*": observe, "a.v1.S/Kept": Method(), "a.v1.T/Get": observe},
        )
    )
    observed = {
        name: bindings.observes(name) for name in ("a.v1.S/Get", "a.v1.S/Kept", "a.v1.T/Get")
    }
    assert observed == {"a.v1.S/Get": True, "a.v1.S/Kept": False, "a.v1.T/Get": True}
    assert not bindings.observes("a.v1.T/Put")
    assert not bindings.observes("a.v1.S2/Get")


def test_observed_and_known_roles_are_listed() -> None:
    bindings = compiled(a_b=Role(), c=Role(mode=Mode.OBSERVE))
    assert bindings.known == {"a.b", "c"}
    assert bindings.observed == {"c"}


subjects = st.sampled_from(["a", "b", "c", "d"])
role_names = st.sampled_from(["r", "s", "t", "u"])


@given(
    st.dictionaries(role_names, st.tuples(st.sets(subjects), st.sets(subjects))),
    st.lists(st.tuples(role_names, role_names)),
)
def test_bindings_equal_their_definition(
    held: dict[str, tuple[set[str], set[str]]], arrows: list[tuple[str, str]]
) -> None:
    # Arrows from a role to a later one only: no loops.
    includes = {
        name: tuple({b for a, b in arrows if a == name and b in held and b > a}) for name in held
    }
    bindings = RoleBindings.compile(
        MeshConfig(
            trust_domain="acme.example",
            issuers=(issuer(ISSUER),),
            roles={
                name: Role(
                    workloads=tuple(f"{TD}/{each}" for each in workloads),
                    users=tuple(users),
                    includes=includes[name],
                )
                for name, (workloads, users) in held.items()
            },
        )
    )

    def reach(role: str) -> set[str]:
        return {role}.union(*(reach(each) for each in includes[role]))

    for subject in "abcd":
        of_workload = set[str]().union(*(reach(r) for r, (w, _) in held.items() if subject in w))
        of_user = set[str]().union(*(reach(r) for r, (_, u) in held.items() if subject in u))
        assert bindings.roles_of_workload(f"{TD}/{subject}") == of_workload
        assert bindings.roles_of_user(ISSUER, subject, NOBODY) == of_user


def mesh_with_lines(path: Path, *lines: object) -> MeshConfig:
    (path / "mesh.yaml").write_text(
        "trust_domain: acme.example\nbindings_file: b.jsonl\n"
        f"issuers: [{{issuer: '{ISSUER}', file: keys.json, audiences: [shop]}}]\n"
        "roles: {reader: {}, writer: {includes: [reader], users: [alice]}}\n"
    )
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (path / "b.jsonl").write_text("\n".join(texts))
    return load(path / "mesh.yaml")


def test_a_bindings_file_adds_to_mesh_yaml(tmp_path: Path) -> None:
    config = mesh_with_lines(
        tmp_path,
        {"role": "writer", "workload": f"{TD}/orders"},
        "",
        {"role": "reader", "workload": f"{TD}/ns/*"},
        {"role": "reader", "user": "bob"},
        {"role": "writer", "group": "clerks"},
    )
    bindings = RoleBindings.compile(config)
    assert bindings.roles_of_workload(f"{TD}/orders") == {"reader", "writer"}
    assert bindings.roles_of_workload(f"{TD}/ns/web") == {"reader"}
    assert bindings.roles_of_user(ISSUER, "alice", NOBODY) == {"reader", "writer"}
    assert bindings.roles_of_user(ISSUER, "bob", frozenset({"clerks"})) == {"reader", "writer"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "found '{': Input data was truncated"),
        ("[]", "found '[]': Expected `object`"),
        ('{"role": "writer"}', "found not exactly one of workload, user and group"),
        ('{"role": "writer", "user": "a", "group": "b"}', "found not exactly one of"),
        ('{"role": "writer", "user": ""}', "found not exactly one of"),
        ('{"role": "wrtier", "user": "a"}', "unknown role 'wrtier'"),
        ('{"role": "writer", "user": 1}', "Expected `str`"),
        ('{"role": "writer", "users": "a"}', "unknown field `users`"),
        ('{"role": "writer", "workload": "orders"}', "'orders' is not a SPIFFE ID"),
        (
            '{"role": "writer", "workload": "spiffe://acme.example/*/x"}',
            "a * stands at the end alone",
        ),
        ('{"role": "writer", "workload": "spiffe://acme.example/or*"}', "a * stands at the end"),
        ('{"role": "writer", "user": "*"}', "users and groups have no wildcards"),
        ('{"role": "writer", "user": "a", "issuer": "x"}', "unknown issuer 'x'"),
        (
            '{"role": "writer", "workload": "spiffe://a.example/b", "issuer": "x"}',
            "found an issuer beside a workload",
        ),
        ('{"role": "writer", "user": "' + "a" * 8200 + '"}', "a line of over 8192 bytes"),
        ("\udcff", "found"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, line: str, fault: str) -> None:
    mesh_with_lines(tmp_path, {"role": "reader", "user": "bob"})
    good = b'{"role": "reader", "user": "bob"}\n\n'
    (tmp_path / "b.jsonl").write_bytes(good + line.encode("utf-8", "surrogateescape"))
    with pytest.raises(MeshFileError) as refusal:
        RoleBindings.compile(load(tmp_path / "mesh.yaml"))
    (problem,) = refusal.value.problems
    assert (problem.path, problem.line) == (tmp_path / "b.jsonl", 3)
    assert fault in str(problem)


def test_a_file_for_several_issuers_says_whose_each_user_is(tmp_path: Path) -> None:
    lines = (
        {"role": "reader", "user": "bob", "issuer": OTHER},
        {"role": "reader", "group": "clerks", "issuer": ISSUER},
    )
    mesh_with_lines(tmp_path, *lines)
    mesh = tmp_path / "mesh.yaml"
    second = f"{{issuer: '{OTHER}', file: keys.json, audiences: [shop]}}]\n"
    text = mesh.read_text().replace("]}]\n", f"]}}, {second}").replace(", users: [alice]", "")
    mesh.write_text(text)
    bindings = RoleBindings.compile(load(mesh))
    assert bindings.roles_of_user(OTHER, "bob", frozenset({"clerks"})) == {"reader"}
    assert bindings.roles_of_user(ISSUER, "bob", NOBODY) == NOBODY
    assert bindings.roles_of_user(ISSUER, "carol", frozenset({"clerks"})) == {"reader"}
    (tmp_path / "b.jsonl").write_text('{"role": "reader", "user": "bob"}')
    with pytest.raises(
        MeshFileError, match=r"b\.jsonl:1: found 'bob', and this mesh has 2 issuers"
    ):
        RoleBindings.compile(load(mesh))


def test_of_a_file_full_of_faults_the_first_twenty_are_listed(tmp_path: Path) -> None:
    config = mesh_with_lines(tmp_path, *["{}"] * 1000)
    with pytest.raises(MeshFileError) as refusal:
        RoleBindings.compile(config)
    assert [problem.line for problem in refusal.value.problems] == list(range(1, 21))


def test_a_bindings_file_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    config = mesh_with_lines(tmp_path)
    (tmp_path / "b.jsonl").unlink()
    with pytest.raises(MeshFileError, match=r"b\.jsonl: cannot be read: No such file"):
        RoleBindings.compile(config)
