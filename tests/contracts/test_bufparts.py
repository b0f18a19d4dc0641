"""Large images are judged by buf in parts: what it finds is what it finds in the whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

import contractfiles
from meshpact.contracts import buf, bufimage, bufparts
from meshpact.contracts.faults import Fault
from meshpact.contracts.image import Image, compile_image

SYNTAX: Final = 'syntax = "proto3";\n'


def file(package: str, body: str, *imports: str, options: str = "") -> str:
    lines = "".join(f'import "{name}";\n' for name in imports)
    return f"{SYNTAX}package {package};\n{lines}{options}{body}\n"


def rpc(service: str, request: str, response: str) -> str:
    return f"service {service} {{ rpc Do({request}) returns ({response}); }}"


LINTED: Final[Mapping[str, str]] = {
    # one package in two folders, one folder with two packages
    "split/v1/a.proto": file("split.v1", "message A {}"),
    "elsewhere/v1/b.proto": file("split.v1", "message B {}"),
    "elsewhere/v1/c.proto": file("third.v1", "message C {}"),
    # options that differ within a package
    "go/v1/a.proto": file("go.v1", "message A {}", options='option go_package = "one";\n'),
    "go/v1/b.proto": file("go.v1", "message B {}", options='option go_package = "two";\n'),
    # a cycle of packages in which no file imports itself, and one that only leads to it
    "ring/one/v1/a.proto": file("ring.one.v1", "message A { ring.two.v1.B b = 1; }", "b.proto"),
    "b.proto": file("ring.two.v1", "message B {}"),
    "ring/two/v1/c.proto": file(
        "ring.two.v1", "message C { ring.three.v1.D d = 1; }", "ring/three/v1/d.proto"
    ),
    "ring/three/v1/d.proto": file("ring.three.v1", "message D {}"),
    "ring/three/v1/e.proto": file(
        "ring.three.v1", "message E { ring.one.v1.F f = 1; }", "ring/one/v1/f.proto"
    ),
    "ring/one/v1/f.proto": file("ring.one.v1", "message F {}"),
    "user/v1/g.proto": file(
        "user.v1", "message G { ring.three.v1.E e = 1; }", "ring/three/v1/e.proto"
    ),
    # requests that services of two packages share
    "shared/v1/a.proto": file("shared.v1", "message Both {}\nmessage Mine {}"),
    "left/v1/a.proto": file(
        "left.v1", rpc("Left", "shared.v1.Both", "shared.v1.Mine"), "shared/v1/a.proto"
    ),
    "right/v1/a.proto": file(
        "right.v1", rpc("Right", "shared.v1.Both", "R") + "\nmessage R {}", "shared/v1/a.proto"
    ),
    # what is wrong in a file by itself
    "plain/v1/a.proto": file("plain.v1", "message lower {}", "split/v1/a.proto"),
    "plain/v2/a.proto": file(
        "plain.v2", "// buf:lint:ignore MESSAGE_PASCAL_CASE\nmessage lower {}\nenum E { A = 0; }"
    ),
}
CROSSING: Final = {
    "DIRECTORY_SAME_PACKAGE",
    "IMPORT_USED",
    "MESSAGE_PASCAL_CASE",
    "PACKAGE_NO_IMPORT_CYCLE",
    "PACKAGE_SAME_DIRECTORY",
    "PACKAGE_SAME_GO_PACKAGE",
    "RPC_REQUEST_RESPONSE_UNIQUE",
}

BEFORE: Final[Mapping[str, str]] = {
    "kept/v1/a.proto": file("kept.v1", "message Kept { string x = 1; }"),
    "moved/v1/a.proto": file("moved.v1", "message A {}\nmessage B {}"),
    "moved/v1/b.proto": file("moved.v1", "message C {}"),
    "gone/v1/a.proto": file("gone.v1", "message A {}"),
    "gone/v1/b.proto": file("gone.v1", "message B {}"),
    "dropped/v1/a.proto": file("dropped.v1", "message A {}"),
    "renamed/v1/a.proto": file("renamed.v1", "message A {}"),
    "types/v1/a.proto": file("types.v1", "enum One { ONE_A = 0; }\nenum Two { TWO_A = 0; }"),
    "uses/v1/a.proto": file(
        "uses.v1", "message M { types.v1.One one = 1; int32 n = 2; }", "types/v1/a.proto"
    ),
}
AFTER: Final[Mapping[str, str]] = {
    "kept/v1/a.proto": file("kept.v1", "// Better said.\nmessage Kept { string x = 1; }"),
    "moved/v1/a.proto": file("moved.v1", "message A {}"),
    "moved/v1/b.proto": file("moved.v1", "message C {}\nmessage B {}"),
    "gone/v1/b.proto": file("gone.v1", "message B {}"),
    "added/v1/a.proto": file("added.v1", "message A {}"),
    "renamed/v1/a.proto": file("renamed.v2", "message A {}"),
    "types/v1/a.proto": file("types.v1", "enum One { ONE_A = 0; }\nenum Two { TWO_B = 0; }"),
    "uses/v1/a.proto": file(
        "uses.v1", "message M { types.v1.Two one = 1; string n = 2; }", "types/v1/a.proto"
    ),
}


def compiled(root: Path, files: Mapping[str, str]) -> Image:
    contractfiles.write(root, dict(files))
    return compile_image([root])


def told(faults: list[Fault]) -> list[tuple[object, ...]]:
    return [(f.place.file, f.place.line, f.place.column, f.subject, f.message) for f in faults]


def test_lint_of_parts_finds_what_lint_of_the_whole_finds(tmp_path: Path) -> None:
    image = compiled(tmp_path, LINTED)
    whole = told(buf.lint(image))
    assert {rule for _, _, _, rule, _ in whole} >= CROSSING
    assert len(list(bufparts.of_one(image, 1))) > 3
    assert told(buf.lint(image, files=1)) == whole


@pytest.mark.parametrize("category", ["FILE", "WIRE_JSON"])
def test_parts_break_what_the_whole_breaks(tmp_path: Path, category: str) -> None:
    old, new = compiled(tmp_path / "old", BEFORE), compiled(tmp_path / "new", AFTER)
    whole = told(buf.breaking(new, old, category))
    assert whole
    assert len(list(bufparts.of_two(old, new, 1))) > 3
    assert told(buf.breaking(new, old, category, files=1)) == whole


def test_each_own_file_is_in_one_part_with_what_it_imports(tmp_path: Path) -> None:
    image = compiled(tmp_path, LINTED)
    parts = list(bufparts.of_one(image, 1))
    assert sorted(name for part in parts for name in part.own) == sorted(image.own)
    for part in parts:
        before: set[str] = set()
        for each in part.files:
            assert before.issuperset(each.dependency)
            before.add(each.name)


def test_packages_without_a_change_are_not_given_to_buf(tmp_path: Path) -> None:
    old, new = compiled(tmp_path / "old", BEFORE), compiled(tmp_path / "new", AFTER)
    given = {name for _, part in bufparts.of_two(old, new, 1) for name in part.own}
    assert given == set(AFTER) - {"kept/v1/a.proto"}
    assert list(bufparts.of_two(old, old)) == []


def test_what_a_file_says_is_the_same_without_its_comments(tmp_path: Path) -> None:
    text = file("a.v1", "message A { string x = 1; }")
    plain = compiled(tmp_path / "plain", {"a.proto": text}).bare
    spoken = re.sub("^", "// Said.\n", text.replace("message", "// And.\nmessage"))
    assert compiled(tmp_path / "spoken", {"a.proto": spoken}).bare == plain
    other = text.replace("x = 1", "x = 2")
    assert compiled(tmp_path / "other", {"a.proto": other}).bare != plain


def test_fields_that_no_descriptor_has_today_are_kept() -> None:
    unknown = b"\x0a\x01a" + b"\x4a\x00" + b"\xfd\x07\x01\x02\x03\x04"
    assert bufimage.bare(unknown) == b"\x0a\x01a" + b"\xfd\x07\x01\x02\x03\x04"
