"""`--fix` takes out lines that say nothing, shows each of them, and leaves all else alone."""

from __future__ import annotations

import stat
import textwrap
from pathlib import Path

import contractfiles
from meshpact.contracts.lint import Linted, Options, lint

NAME = "protos/shop/v1/shop.proto"
HEAD = '// Where things are sold.\nsyntax = "proto3";\n\npackage shop.v1;\n\n'


def mended(root: Path, body: str, *, fix: bool = True) -> tuple[Linted, str]:
    """What a run with --fix said, and the contract after it, HEAD left out."""
    contractfiles.write(root, {NAME: HEAD + textwrap.dedent(body)})
    linted = lint(Options([root / "protos"], fix=fix))
    return linted, (root / NAME).read_text(encoding="utf-8").removeprefix(HEAD)


def rules(linted: Linted) -> list[str]:
    """The rules of what is still found."""
    return [finding.rule for finding in linted.report.findings]


UNUSED = """\
// What is sold.
// meshpact:lint-ignore MP183 because thermometers call it that
message Ware {
  // How many.
  int32 count = 1; // meshpact:lint-ignore MP183 because thermometers call it that
}
"""


def test_a_waiver_that_waives_nothing_is_taken_out(tmp_path: Path) -> None:
    linted, text = mended(tmp_path, UNUSED)
    assert text == ("// What is sold.\nmessage Ware {\n  // How many.\n  int32 count = 1;\n}\n")
    assert rules(linted) == []
    path = tmp_path / NAME
    assert [str(edit) for edit in linted.fixed] == [
        f"{path}:7: mended MP003\n"
        "    - // meshpact:lint-ignore MP183 because thermometers call it that",
        f"{path}:10: mended MP003\n"
        "    - int32 count = 1; // meshpact:lint-ignore MP183 because thermometers call it that\n"
        "    + int32 count = 1;",
    ]


def test_without_fix_nothing_is_written(tmp_path: Path) -> None:
    linted, text = mended(tmp_path, UNUSED, fix=False)
    assert text == UNUSED
    assert linted.fixed == ()
    assert rules(linted) == ["MP003", "MP003"]


ERRORS = """\
import "meshpact/policy/v1/policy.proto";

// Sells things.
service ShopService {
  option (meshpact.policy.v1.service) = {
    access: { roles: "shop.reader" }
    deadline: { default: { seconds: 1 } max: { seconds: 5 } }
    audit: { level: AUDIT_LEVEL_DENIALS }
  };

  // Sells one thing.
  rpc Get(GetRequest) returns (GetResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (meshpact.policy.v1.method) = {
      %s
    };
  }
}

// What to sell.
message GetRequest {}

// What was sold.
message GetResponse {}

// What goes wrong.
enum ShopError {
  option (meshpact.policy.v1.errors).domain = "shop.example";
  // Not used.
  SHOP_ERROR_UNSPECIFIED = 0;
  // All is sold.
  SHOP_ERROR_GONE = 1 [(meshpact.policy.v1.error) = {
    code: CODE_NOT_FOUND
    message: "Gone."
  }];
}
"""


def test_an_error_that_is_listed_twice_is_listed_once_after(tmp_path: Path) -> None:
    linted, text = mended(tmp_path, ERRORS % 'errors: "GONE"\n      errors: "GONE"')
    assert text == ERRORS % 'errors: "GONE"'
    assert rules(linted) == []


def test_a_line_that_holds_more_than_the_fault_stays(tmp_path: Path) -> None:
    linted, text = mended(tmp_path, ERRORS % 'errors: "GONE" errors: "GONE"')
    assert text == ERRORS % 'errors: "GONE" errors: "GONE"'
    assert linted.fixed == ()
    assert rules(linted) == ["MP101"]


def test_the_file_keeps_its_mode_and_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / NAME
    contractfiles.write(tmp_path, {NAME: ""})
    path.write_bytes((HEAD + UNUSED).replace("\n", "\r\n").encode())
    path.chmod(0o640)
    linted = lint(Options([tmp_path / "protos"], fix=True))
    assert len(linted.fixed) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n") == 10


def test_an_import_that_nothing_uses_is_taken_out(tmp_path: Path) -> None:
    body = (
        'import "google/protobuf/duration.proto";\n'
        'import "google/protobuf/timestamp.proto";\n'
        "\n"
        "// What is sold.\n"
        "message Ware {\n"
        "  // Since when.\n"
        "  google.protobuf.Timestamp since = 1;\n"
        "}\n"
    )
    before, _ = mended(tmp_path, body, fix=False)
    assert [(each.rule, each.line) for each in before.report.findings] == [("IMPORT_USED", 6)]
    linted, text = mended(tmp_path, body)
    assert text == body.partition("\n")[2]
    assert rules(linted) == []


def test_a_file_without_a_syntax_is_found_and_not_mended(tmp_path: Path) -> None:
    text = "// Where things are sold.\npackage shop.v1;\n\n// What is sold.\nmessage Ware {}\n"
    contractfiles.write(tmp_path, {NAME: text})
    linted = lint(Options([tmp_path / "protos"], fix=True))
    assert "SYNTAX_SPECIFIED" in rules(linted)
    assert (tmp_path / NAME).read_text(encoding="utf-8") == text


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    odd = "// One\u2028two\x0bthree\x0cfour\x85five.\n"
    path = contractfiles.write(tmp_path, {NAME: ""}) / NAME
    text = odd + HEAD + UNUSED
    path.write_bytes(text.encode())
    linted = lint(Options([tmp_path / "protos"], fix=True))
    assert len(linted.fixed) == 2
    assert path.read_bytes().decode().startswith(odd)
    assert "IMPORT_USED" not in rules(linted)


def test_a_file_behind_a_link_is_mended_where_it_is(tmp_path: Path) -> None:
    path = contractfiles.write(tmp_path, {NAME: HEAD + UNUSED, "kept/shop.txt": ""}) / NAME
    kept = tmp_path / "protos" / "shop.txt"
    path.rename(kept)
    path.symlink_to(kept)
    assert len(lint(Options([tmp_path / "protos"], fix=True)).fixed) == 2
    assert path.is_symlink()
    assert len(kept.read_text()) < len(HEAD + UNUSED)
