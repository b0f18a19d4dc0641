"""The issuers of a mesh.yaml: what may stand there, and what a guard makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from certsshell import Shell, new_shell
from meshpact.certs.issuer import Issuer as LocalIssuer
from meshpact.interceptors import (
    claims,
    fetch,
    introspection,
    keys,
    remote_keys,
    signature,
    strictjson,
    tokencache,
)
from meshpact.interceptors.assemble import AssemblyError, guard_for
from meshpact.interceptors.issuers import tokens_for
from meshpact.interceptors.keys import KeysError
from meshpact.mesh.config import MeshConfig, MeshFileError, TokenType, load
from meshpact.testing.hosting import Workbench
from meshpact.testing.tokens import TokenIssuer
from tokens.door import OWN, opened
from tokens.issuerserver import page, serving

ISSUED = TokenIssuer("https://issuer.test.example")
TOP = "trust_domain: test.example\nservices: {server: {}}\n"


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


def mesh(folder: Path, issuers: str) -> MeshConfig:
    path = folder / "mesh.yaml"
    path.write_text(TOP + issuers, encoding="utf-8")
    return load(path)


@pytest.mark.parametrize(
    ("issuer", "words"),
    [
        ("{issuer: a, audiences: [b]}", "no source of keys given"),
        ("{issuer: a, audiences: [b], file: c, jwks: 'https://d'}", "jwks and file given"),
        ("{issuer: a, audiences: [''], file: c}", "issuers[0].audiences[0]: found an empty text"),
        ("{issuer: a, audiences: [b], discovery: 'http://d'}", "discovery: found 'http://d'"),
        ("{issuer: a, audiences: [b], jwks: 'https://u@d'}", "jwks: found"),
        ("{issuer: a, audiences: [b], jwks: 'https://d:0'}", "jwks: found"),
        (
            "{issuer: a, audiences: [b], file: c, token_endpoint: 'ftp://d'}",
            "token_endpoint: found 'ftp://d'; allowed: a URL with https",
        ),
        (
            "{issuer: a, audiences: [b], introspection: 'http://d', client_id: c,"
            " client_secret_file: s}",
            "introspection: found 'http://d'",
        ),
        (
            "{issuer: a, audiences: [b], introspection: 'https://d'}",
            "no client_id and no client_secret_file",
        ),
        (
            "{issuer: a, audiences: [b], introspection: 'https://d', client_id: c}",
            "Add client_secret_file",
        ),
        (
            "{issuer: a, audiences: [b], file: c, token_endpoint: 'https://d'}",
            "token_endpoint: no client_id and no client_secret_file",
        ),
        (
            "{issuer: a, audiences: [b], file: c, token_endpoint: 'http://d', client_id: e,"
            " client_secret_file: f}",
            "token_endpoint: found 'http://d'",
        ),
        ("{issuer: a, audiences: [b], file: c, algorithms: [HS256]}", "found 'HS256'"),
        ("{issuer: a, audiences: [b], file: c, token_type: id}", "token_type: found 'id'"),
        ("{issuer: a, audiences: [b], file: c, groups_claim: ''}", "groups_claim"),
    ],
)
def test_a_fault_is_named_with_what_is_allowed(tmp_path: Path, issuer: str, words: str) -> None:
    with pytest.raises(MeshFileError) as caught:
        mesh(tmp_path, f"issuers: [{issuer}]\n")
    assert words in str(caught.value)
    assert "mesh.yaml:3: issuers[0]" in str(caught.value)


@pytest.mark.parametrize("spelt", ["JWT", "jwt"])
def test_plain_jwts_must_be_spelled_out(tmp_path: Path, spelt: str) -> None:
    top = "issuers: [{issuer: a, audiences: [b], file: c"
    [plain] = mesh(tmp_path, f"{top}, token_type: {spelt}}}]\n").issuers
    [strict] = mesh(tmp_path, f"{top}}}]\n").issuers
    assert (plain.token_type, strict.token_type) == (TokenType.JWT, TokenType.ACCESS_TOKEN)


def test_opaque_tokens_are_one_issuers_affair(tmp_path: Path) -> None:
    each = "audiences: [b], introspection: 'https://d', client_id: c, client_secret_file: s"
    with pytest.raises(MeshFileError, match="introspection at one issuer only") as caught:
        mesh(tmp_path, f"issuers:\n  - {{issuer: one, {each}}}\n  - {{issuer: two, {each}}}\n")
    assert "mesh.yaml:5: issuers[1].introspection" in str(caught.value)
    assert "Keep it at one of one, two" in str(caught.value)


def test_a_mesh_with_keys_in_a_file_takes_its_tokens(bench: Workbench, tmp_path: Path) -> None:
    ISSUED.write_jwks(tmp_path / "jwks.json")
    config = mesh(
        tmp_path, f"issuers: [{{issuer: '{ISSUED.name}', file: jwks.json, audiences: [mesh]}}]\n"
    )
    with opened(bench, "aio", tokens_for(config, "server")) as door:
        assert door.refusal(ISSUED.mint("alice", audience=["mesh"])) == ""
        assert door.refusal(ISSUED.mint("alice", audience=[OWN])) == "", "the service's own"
        assert door.refusal(ISSUED.mint("alice", audience=["other"])) == "TOKEN_INVALID"


@pytest.mark.parametrize("key", ["jwks", "discovery"])
def test_a_mesh_takes_keys_from_an_address_or_by_discovery(
    bench: Workbench, tmp_path: Path, key: str
) -> None:
    with serving() as issuer:
        issuer.pages["/keys"] = page(ISSUED.jwks)
        where = issuer.url("/keys")
        issuer.pages["/metadata"] = page(f'{{"issuer": "{ISSUED.name}", "jwks_uri": "{where}"}}')
        address = where if key == "jwks" else issuer.url("/metadata")
        config = mesh(
            tmp_path,
            f"issuers: [{{issuer: '{ISSUED.name}', {key}: '{address}', audiences: [mesh]}}]\n",
        )
        with opened(bench, "sync", tokens_for(config, "server")) as door:
            assert door.refusal(ISSUED.mint("alice", audience=["mesh"])) == ""


def test_a_mesh_asks_about_opaque_tokens(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret", encoding="utf-8")
    (tmp_path / "secret").chmod(0o600)
    with serving() as issuer:
        issuer.pages["/ask"] = page(
            '{"active": true, "sub": "a", "client_id": "c", "aud": "mesh", "exp": 4000000000}'
        )
        config = mesh(
            tmp_path,
            f"issuers: [{{issuer: '{ISSUED.name}', introspection: '{issuer.url('/ask')}', "
            "client_id: mesh, client_secret_file: secret, audiences: [mesh]}]\n",
        )
        with opened(bench, "aio", tokens_for(config, "server")) as door:
            assert door.refusal("opaque") == ""


@pytest.mark.parametrize(
    ("issuer", "words"),
    [
        ("file: nowhere.json", "nowhere.json: No such file"),
        ("file: mesh.yaml", "mesh.yaml: not a JWK set"),
        (
            "introspection: 'https://d', client_id: c, client_secret_file: readable",
            "readable has the mode 0644",
        ),
    ],
)
def test_a_guard_is_not_made_without_what_its_issuers_need(
    bench: Workbench, tmp_path: Path, issuer: str, words: str
) -> None:
    (tmp_path / "readable").write_text("s3cret", encoding="utf-8")
    (tmp_path / "readable").chmod(0o644)
    config = mesh(tmp_path, f"issuers: [{{issuer: 'https://i', audiences: [b], {issuer}}}]\n")
    with pytest.raises(KeysError, match="issuer https://i: ") as caught:
        tokens_for(config, "server")
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(AssemblyError, match="issuer https://i: "):
        guard_for(
            config,
            "server",
            identity=bench.source("guard"),
            bindings=bench.roles,
            audit_path=tmp_path / "audit.jsonl",
        )


def test_a_token_of_the_command_line_can_be_bound_to_a_certificate(
    bench: Workbench,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell: Shell = new_shell(tmp_path, capsys, monkeypatch)
    LocalIssuer.init(tmp_path / ".meshpact" / "issuers" / "local")
    config = mesh(
        tmp_path,
        "issuers: [{issuer: 'https://i', file: .meshpact/issuers/local/jwks.json, "
        "audiences: [mesh], groups_claim: roles}]\n",
    )
    (tmp_path / "caller.pem").write_bytes(bench.client("caller").chain_pem)
    made = shell("token", "--user", "alice", "--group", "staff", "--bound-to", "caller.pem")
    assert made.code == 0
    token = made.out.strip()
    with opened(bench, "aio", tokens_for(config, "server"), bound=True) as door:
        assert door.refusal(token) == ""
        assert door.refusal(token, workload="other") == "TOKEN_BINDING_MISMATCH"
    [user] = door.seen
    assert user is not None
    assert user.bound
    assert user.groups == {"staff"}
    for path, words in (("nowhere.pem", "No such file"), ("mesh.yaml", "no certificate in PEM")):
        refused = shell("token", "--user", "alice", "--bound-to", path)
        assert (refused.code, refused.out) == (2, "")
        assert words in refused.err


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "accept-end-users.md"


@pytest.mark.parametrize("number", range(3))
def test_each_mesh_on_the_page_about_end_users_is_one(tmp_path: Path, number: int) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    path = tmp_path / "mesh.yaml"
    path.write_text(blocks[number], encoding="utf-8")
    [issuer] = load(path).issuers
    assert issuer.audiences


def test_the_figures_on_the_page_about_end_users_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for said in (
        f"at most {signature.MAX_TOKEN:,} characters",
        f"at most {strictjson.MAX_DEPTH} levels",
        f"may be {claims.LEEWAY:g} s ahead",
        f"an answer has {fetch.TIMEOUT:g} s and {keys.MAX_BYTES // 1024} KiB",
        f"the next one {remote_keys.COOLDOWN:g} s later",
        f"between {remote_keys.LEAST_AGE:g} s and {remote_keys.MOST_AGE / 3600:g} h; "
        f"{remote_keys.DEFAULT_AGE / 60:g} min when",
        f"are believed for {keys.TRUSTED / 3600:g} h",
        f"An answer counts for {introspection.REMEMBERED:g} s",
        f"not active counts for {introspection.REFUSED:g} s",
        f"{tokencache.ENTRIES:,} of them",
    ):
        assert said in text
