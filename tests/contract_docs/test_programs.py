"""The Python of the pages is run as it stands, against servers of the contracts it is for."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import contractfiles
from contract_docs.publishing import (
    DEMO,
    REFERENCE,
    ROOT,
    fenced,
    generated_modules,
    published,
)
from meshpact.certs.thumbprint import certificate_thumbprint
from meshpact.contracts.docs import Form
from meshpact.contracts.generate import generate
from meshpact.interceptors.auditfile import AuditFile
from meshpact.interceptors.auditwriter import AuditWriter
from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.spec import MethodSpec
from meshpact.interceptors.tokens import Issuer, Tokens
from meshpact.servers.mount import Servicer
from meshpact.testing.hosting import AUDIENCE, Workbench
from meshpact.testing.roles import StaticRoles

ROLES = ("roles", "workload_roles", "user_roles")

MODULES = [
    *((REFERENCE, name) for name in generated_modules(ROOT / "generated", "acme")),
    *((DEMO, name) for name in generated_modules(DEMO.parent / "generated", "demo")),
]


def answering(mesh: Any, service: str, heard: list[str]) -> Servicer:
    """A servicer of a generated base that answers every method with an empty response."""
    base: Any = getattr(mesh, f"{service}BaseSync")

    def handler(spec: MethodSpec[Any, Any]) -> Any:
        def once(_: object, request: Any, __: object) -> Any:
            if spec.descriptor.client_streaming:
                assert list(request)
            heard.append(spec.path)
            return spec.response()

        def stream(_: object, request: Any, call: object) -> Iterator[Any]:
            yield once(_, request, call)

        return stream if spec.descriptor.server_streaming else once

    members = {spec.attribute: handler(spec) for spec in base.SPEC.methods}
    servicer: Servicer = type(service, (base,), members)()
    return servicer


def lay_identities(bench: Workbench, state: Path) -> dict[str, object]:
    """The files of `caller` as `meshpact up` lays them; the claim that binds a token to them."""
    leaf = bench.authority.issue("caller")
    identity, trust = state / "identities" / "caller", state / "trust"
    identity.mkdir(parents=True)
    trust.mkdir()
    (identity / "cert.pem").write_bytes(leaf.chain_pem)
    (identity / "key.pem").write_bytes(leaf.key_pem)
    (identity / "key.pem").chmod(0o600)
    (trust / f"{bench.trust_domain}.pem").write_bytes(bench.authority.roots_pem)
    return {"cnf": {"x5t#S256": certificate_thumbprint(leaf.chain_pem)}}


def mesh_file(folder: Path, name: str, port: int, roles: set[str]) -> Path:
    lines = ["trust_domain: test.example", "services:", "  caller: {}", f"  {name}:"]
    lines += ["    factory: 'some.module:create'", f"    address: '127.0.0.1:{port}'", "roles:"]
    lines += [f"  {role}: {{ workloads: [caller] }}" for role in sorted(roles)]
    path = folder / "mesh.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def stated(protos: Path, part: str) -> set[str]:
    """All `roles`, `scopes` or the like that the contracts state."""
    text = "".join(path.read_text(encoding="utf-8") for path in protos.rglob("*.proto"))
    listed = re.findall(rf"\b{part}: (\[[^]]*\]|\"[^\"]*\")", text)
    return {name for names in listed for name in re.findall(r'"([^"]*)"', names)}


def accepting(bench: Workbench, folder: Path, audiences: set[str]) -> Tokens:
    """A verifier that accepts the tokens of the bench for some audiences."""
    keys = FileKeys(bench.issuer.write_jwks(folder / "jwks.json"))
    return Tokens([Issuer(bench.issuer.name, keys, frozenset(audiences), frozenset({"ES256"}))])


@pytest.mark.parametrize(("protos", "module"), MODULES, ids=[name for _, name in MODULES])
def test_every_program_calls_its_method(
    protos: Path, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four shapes, with the token that the policy asks for, of every service there is."""
    mesh, heard = importlib.import_module(module), list[str]()
    name, short = module.split(".")[-3], module.rpartition(".")[2]
    services = [each.removesuffix("BaseSync") for each in vars(mesh) if each.endswith("BaseSync")]
    audiences = {AUDIENCE, *stated(protos, "audience")}
    roles = {role for part in ROLES for role in stated(protos, part)}
    monkeypatch.chdir(tmp_path)
    with Workbench(service=name) as bench:
        bench.roles = StaticRoles({bench.id_of("caller"): roles}, users={"ada": roles})
        bound = lay_identities(bench, tmp_path / ".meshpact")
        scopes = sorted(stated(protos, "scopes"))
        token = bench.issuer.mint("ada", audience=sorted(audiences), scopes=scopes, claims=bound)
        monkeypatch.setenv("ACCESS_TOKEN", token)
        servicers = [answering(mesh, service, heard) for service in services]
        trail = AuditWriter(AuditFile(tmp_path / "audit.jsonl", service=name))
        guard = bench.guard(tokens=accepting(bench, tmp_path, audiences), audit=trail)
        with bench.serving("sync", lambda: servicers, guard=guard) as port:
            config = mesh_file(tmp_path, name, port, roles)
            published(protos, tmp_path / "out", Form.MARKDOWN, mesh=config)
            page = tmp_path / "out" / f"{module.rpartition('.')[0]}.md"
            programs = fenced(page.read_text(encoding="utf-8"), "python")
            for program in (each for each in programs if f"client = {short}." in each):
                exec(compile(program, str(page), "exec"), {"__name__": "__main__"})
    trail.close()
    specs = [spec for each in services for spec in getattr(mesh, f"{each}BaseSync").SPEC.methods]
    assert sorted(heard) == sorted(spec.path for spec in specs)


def test_the_grpcurl_line_is_one_command_that_names_the_method_and_the_files(
    tmp_path: Path,
) -> None:
    published(REFERENCE, tmp_path / "out", Form.MARKDOWN)
    text = (tmp_path / "out" / "acme.retail.orders.v1.md").read_text(encoding="utf-8")
    line = next(each for each in fenced(text, "sh") if "OrderService/PlaceOrder" in each)
    words = shlex.split(line.replace("\\\n", " "))
    assert words[0] == "grpcurl"
    assert words[-1] == "acme.retail.orders.v1.OrderService/PlaceOrder"
    assert words[words.index("-authority") + 1] == "orders.example.org"
    assert words[words.index("-H") + 1] == "authorization: Bearer $ACCESS_TOKEN"


ODD = """
syntax = "proto2";
package odd.v1;
import "meshpact/policy/v1/policy.proto";
import "google/protobuf/timestamp.proto";
message Ask {
  message Inner { required string class = 1; optional Mood mood = 2 [default = GLAD]; }
  enum Mood { SAD = 0; GLAD = 1; None = 2; }
  required string from = 1;
  optional Inner inner = 2;
  map<string, Inner> by_name = 3;
  repeated Mood moods = 4;
  optional bytes data = 5;
  optional double share = 6;
  optional google.protobuf.Timestamp when = 7;
  optional group Kit = 8 { optional string name = 1; }
  extensions 100 to 200;
}
extend Ask { optional string more = 100; }
service OddService {
  option (meshpact.policy.v1.service) = {
    access: {roles: "odd"} deadline: {default: {seconds: 1}} audit: {level: AUDIT_LEVEL_NONE}
  };
  rpc Import(stream Ask) returns (stream Ask);
  rpc Get(Ask) returns (Ask);
}
service Other {
  option (meshpact.policy.v1.service) = {
    access: {roles: "odd"} deadline: {default: {seconds: 1}} audit: {level: AUDIT_LEVEL_NONE}
  };
  rpc Get(Ask) returns (Ask);
}
"""


def test_programs_of_odd_contracts_make_the_example_and_find_the_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """proto2, keywords as names, groups, maps, enums inside messages, two services in a file."""
    protos = contractfiles.write(tmp_path / "protos", {"odd/v1/odd-names.proto": ODD})
    generate([protos], tmp_path / "generated")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "generated"), *sys.path])
    published(protos, tmp_path / "out", Form.MARKDOWN)
    text = (tmp_path / "out" / "odd.v1.md").read_text(encoding="utf-8")
    programs = fenced(text, "python")
    assert len(programs) == 3
    for program in programs:
        names: dict[str, Any] = {}
        exec(compile(program.replace("asyncio.run(main())", ""), "odd", "exec"), names)
        mesh: Any = names["odd_names_mesh"]
        client = re.search(r"odd_names_mesh\.(\w+)\(channel\)", program)
        method = re.search(r"client\.(\w+)\(", program)
        assert client and method
        assert hasattr(getattr(mesh, client[1]), method[1])
        made = re.search(
            r"(?:request = |yield )(odd_names_pb2\.Ask\(.*?^ *\))$", program, re.S | re.M
        )
        assert made
        request = eval(made[1], names)
        assert getattr(request, "from") == "from"
        assert request.inner.mood == request.GLAD
