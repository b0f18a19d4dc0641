"""Compiling contracts: imports found without vendoring, marked for buf, and protoc's own errors."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import contractfiles
from contractfiles import WHOLE, service
from meshpact.contracts import buf, thirdparty
from meshpact.contracts.faults import ContractsError, Fault, Place, WrongUse
from meshpact.contracts.image import compile_image


def compile_faults(*roots: Path) -> tuple[Fault, ...]:
    """What protoc finds."""
    with pytest.raises(ContractsError) as caught:
        compile_image(roots)
    return caught.value.faults


IMPORTS = (
    "buf/validate/validate.proto",
    "google/api/annotations.proto",
    "google/longrunning/operations_proto.proto",
    "google/protobuf/any.proto",
    "google/rpc/status.proto",
    "google/type/money.proto",
    "meshpact/policy/v1/policy.proto",
)


def test_contracts_of_others_are_found_without_vendoring(tmp_path: Path) -> None:
    lines = "".join(f'import "{name}";\n' for name in IMPORTS)
    contractfiles.write(tmp_path, {"a.proto": f'syntax = "proto3";\n{lines}'})
    image = compile_image([tmp_path])
    assert set(IMPORTS) < {file.name for file in image.files}
    assert list(image.own) == ["a.proto"]


def test_the_validate_contract_comes_out_of_the_protovalidate_wheel() -> None:
    descriptor = thirdparty.validate_descriptor()
    assert descriptor.name == "buf/validate/validate.proto"
    assert descriptor.package == "buf.validate"
    assert "field" in [extension.name for extension in descriptor.extension]


def test_a_file_of_the_user_wins_over_one_that_is_installed(tmp_path: Path) -> None:
    mine = 'syntax = "proto3"; package buf.validate; message Mine {}'
    contractfiles.write(
        tmp_path,
        {
            "buf/validate/validate.proto": mine,
            "a.proto": 'syntax = "proto3"; import "buf/validate/validate.proto"; '
            "message A { buf.validate.Mine mine = 1; }",
        },
    )
    assert set(compile_image([tmp_path]).own) == {"a.proto", "buf/validate/validate.proto"}


def test_buf_lints_the_files_of_the_user_and_no_imports(tmp_path: Path) -> None:
    text = (
        'syntax = "proto3";\npackage shop.v1;\n'
        'import "buf/validate/validate.proto";\nimport "google/type/money.proto";\n'
        "message lower { google.type.Money price = 1 [(buf.validate.field).required = true]; }\n"
    )
    contractfiles.write(tmp_path, {"shop/v1/shop.proto": text})
    found = buf.lint(compile_image([tmp_path]))
    assert [(f.place.file, f.place.line, f.place.column, f.subject) for f in found] == [
        (str(tmp_path / "shop/v1/shop.proto"), 5, 9, "MESSAGE_PASCAL_CASE")
    ]


def test_without_the_marks_buf_would_lint_the_imports_too(tmp_path: Path) -> None:
    text = 'syntax = "proto3";\npackage shop.v1;\nimport "google/type/money.proto";\n'
    contractfiles.write(
        tmp_path, {"shop/v1/shop.proto": text + "message M { google.type.Money price = 1; }\n"}
    )
    image = compile_image([tmp_path])
    assert buf.lint(image) == []
    plain = tmp_path / "plain.binpb"
    plain.write_bytes(image.plain_bytes)
    marked = tmp_path / "marked.binpb"
    marked.write_bytes(image.buf_bytes)
    assert "google/type/money.proto" in _files_of(plain)
    assert _files_of(marked) == ["shop/v1/shop.proto"]


def _files_of(image: Path) -> list[str]:
    done = subprocess.run(
        [buf.executable(), "ls-files", str(image)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_buf_finds_a_breaking_change_between_two_images(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    body = "message Item {{ {field} }}\n"
    contractfiles.contract(old, body.format(field="string sku = 1;"))
    contractfiles.contract(new, body.format(field="int32 sku = 1;"))
    against = tmp_path / "old.binpb"
    against.write_bytes(compile_image([old]).buf_bytes)
    done = buf.run_buf(
        compile_image([new]),
        ["breaking", f"--against={against}", "--error-format=json"],
        {"version": "v2", "breaking": {"use": ["FILE"]}},
    )
    assert done.returncode == 100
    assert '"type":"FIELD_SAME_TYPE"' in done.stdout
    assert '"path":"shop/v1/shop.proto"' in done.stdout


def test_our_own_contracts_pass_the_standard_rules_of_buf() -> None:
    protos = Path(__file__).parents[2] / "protos"
    assert buf.lint(compile_image([protos])) == []


def test_a_syntax_error_is_told_with_its_place(tmp_path: Path) -> None:
    file, line, column = contractfiles.contract(tmp_path, "message M { string name @@1; }\n")
    (fault,) = compile_faults(tmp_path)
    assert (fault.place.file, fault.place.line, fault.place.column) == (str(file), line, column)


def test_a_file_that_is_no_contract_is_told_without_the_log_of_protoc(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_bytes(b"\xff\xfe bad")
    places = {(fault.place.file, fault.place.line) for fault in compile_faults(tmp_path)}
    assert places == {(str(tmp_path / "a.proto"), 1)}


def test_an_import_that_is_nowhere_says_where_imports_are_found(tmp_path: Path) -> None:
    contractfiles.write(tmp_path, {"a.proto": 'syntax = "proto3";\nimport "gone/b.proto";\n'})
    (fault,) = compile_faults(tmp_path)
    assert fault.place.file == str(tmp_path / "a.proto")
    assert (fault.place.line, fault.place.column) == (2, 1)
    assert fault.message == 'Import "gone/b.proto" was not found or had errors.'
    assert "--include" in fault.remedy
    assert str(tmp_path) in fault.remedy


def test_a_folder_to_include_is_searched_and_not_generated(tmp_path: Path) -> None:
    contractfiles.write(tmp_path / "theirs", {"b.proto": 'syntax = "proto3"; message B {}'})
    mine = contractfiles.write(
        tmp_path / "mine",
        {"a.proto": 'syntax = "proto3"; import "b.proto"; message A { B b = 1; }'},
    )
    image = compile_image([mine], [tmp_path / "theirs"])
    assert list(image.own) == ["a.proto"]


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        (service("acess: {}"), "did you mean access? Policy has access, deadline, rate"),
        (service("audit: {level: AUDIT_LEVEL_DENIAL}"), "did you mean AUDIT_LEVEL_DENIALS?"),
        (service("xyzzy: 1"), "Policy has access, deadline"),
        (service("deadline: {max: {second: 1}}"), "did you mean seconds? Duration has seconds"),
        (
            'import "buf/validate/validate.proto";\n'
            "message M { string s = 1 [(buf.validate.field).string = {min_length: 1}]; }\n",
            "did you mean min_len?",
        ),
        ("message M { Gone gone = 1; }\n", "correct the name, or import the file"),
    ],
    ids=["field", "value", "unlike any", "duration", "validate", "type"],
)
def test_a_name_that_is_not_there_comes_with_those_that_are(
    body: str, remedy: str, tmp_path: Path
) -> None:
    contractfiles.contract(tmp_path, body)
    found = compile_faults(tmp_path)
    assert any(fault.remedy.startswith(remedy) for fault in found), found


@pytest.mark.parametrize(
    "method",
    [
        "access: {roles: 'a.b'}\n\tdeadline: {\n  max: {@@second: 1}}",
        "// second\naccess: {roles: 'second'}  deadline: {max: {@@second: 1}}",
        "access: {roles: 'a.b'}\n  audit: { /* ü */ @@level: AUDIT_LEVEL_DENIAL}",
    ],
)
def test_the_place_of_a_wrong_name_is_where_it_stands(method: str, tmp_path: Path) -> None:
    path, line, column = contractfiles.contract(tmp_path, service(method))
    (fault,) = compile_faults(tmp_path)
    assert fault.place == Place(str(path), line, column)


@pytest.mark.parametrize(
    "method",
    [
        "@@# Admins only.\naccess: {roles: 'admin'}",
        "/* # */ access: {roles: '#\\'#'} // #\n@@# deadline: {}",
    ],
)
def test_a_hash_that_would_end_an_option_in_silence_is_told(method: str, tmp_path: Path) -> None:
    path, line, column = contractfiles.contract(tmp_path, service(method))
    (fault,) = compile_faults(tmp_path)
    assert fault.place == Place(str(path), line, column)
    assert "protoc drops the rest of the option" in fault.message
    text = path.read_text().replace("\n# ", "\n// ").replace("{\n# ", "{\n// ")
    path.write_text(text)
    compile_image([tmp_path])


def test_a_hash_in_a_text_is_a_hash(tmp_path: Path) -> None:
    body = "// #1 'of\n/* \"# */\n" + service("access: {roles: 'a.b'}") + "// it's #2\n"
    contractfiles.contract(tmp_path, body)
    compile_image([tmp_path])


def test_a_wrong_name_that_may_stand_in_two_places_is_told_of_its_option(tmp_path: Path) -> None:
    method = "deadline: {default: {second: 1}\n max: {second: 1}}"
    body = service(method).replace("option (meshpact.policy.v1.method) = {", "@@", 1)
    head = "option (meshpact.policy.v1.method) = "
    path, line, column = contractfiles.contract(tmp_path, body.replace("@@", f"{head}@@{{"))
    assert [fault.place for fault in compile_faults(tmp_path)] == [Place(str(path), line, column)]


def test_a_policy_without_its_import_says_what_to_import(tmp_path: Path) -> None:
    text = (contractfiles.HEAD + service("", WHOLE)).replace(
        'import "meshpact/policy/v1/policy.proto";', ""
    )
    contractfiles.write(tmp_path, {"shop.proto": text})
    found = compile_faults(tmp_path)
    assert 'add import "meshpact/policy/v1/policy.proto";' in {f.remedy for f in found}


def test_a_root_that_is_no_folder_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="gone is not a folder: give the folder that holds"):
        compile_image([tmp_path / "gone"])


def test_a_root_without_contracts_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"there is no \.proto file below"):
        compile_image([tmp_path])


def test_the_same_file_in_two_roots_is_wrong_use(tmp_path: Path) -> None:
    for root in ("one", "two"):
        contractfiles.write(tmp_path / root, {"a.proto": 'syntax = "proto3";'})
    with pytest.raises(WrongUse, match=r"a\.proto stands in two roots, .*one/a\.proto and .*two"):
        compile_image([tmp_path / "one", tmp_path / "two"])


def test_contracts_in_hidden_folders_and_environments_are_not_the_users(tmp_path: Path) -> None:
    for name in ("a.proto", ".venv/b.proto", "env/lib/c.proto"):
        contractfiles.write(tmp_path, {name: 'syntax = "proto3";'})
    (tmp_path / "env/pyvenv.cfg").touch()
    assert list(compile_image([tmp_path]).own) == ["a.proto"]
