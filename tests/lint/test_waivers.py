"""A comment sets a rule aside for one thing, with a reason; what waives nothing is found itself."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import contractfiles
from meshpact.contracts.lint import Options, lint

HEAD = '// Where things are sold.\nsyntax = "proto3";\n\npackage shop.v1;\n\n'


def found(root: Path, body: str, head: str = HEAD) -> list[tuple[str, int, str]]:
    """Rule, line (HEAD has five) and message of everything that is found."""
    contractfiles.write(root, {"protos/shop/v1/shop.proto": head + textwrap.dedent(body)})
    report = lint(Options([root / "protos"])).report
    return [(each.rule, each.line, each.message) for each in report.findings]


def test_a_waiver_above_a_field_waives_the_rule_for_that_field_alone(tmp_path: Path) -> None:
    body = """\
    // What is sold.
    message Ware {
      // meshpact:lint-ignore MP183 because a thermometer calls it that
      // Degrees.
      double price = 1;
      // What it takes.
      double cost = 2;
    }
    """
    assert found(tmp_path, body) == [("MP183", 12, "cost sounds like money and is a double")]


def test_a_waiver_behind_a_field_waives_the_rule_for_it(tmp_path: Path) -> None:
    body = """\
    // What is sold.
    message Ware {
      // Degrees.
      double price = 1; // meshpact:lint-ignore MP183 because a thermometer calls it that
    }
    """
    assert found(tmp_path, body) == []


def test_a_waiver_above_a_message_covers_its_fields(tmp_path: Path) -> None:
    body = """\
    // What is sold.
    // meshpact:lint-ignore MP183 because thermometers call it that
    message Ware {
      // Degrees.
      double price = 1;
      // Degrees, too.
      double cost = 2;
    }
    """
    assert found(tmp_path, body) == []


def test_a_waiver_above_the_syntax_covers_the_file(tmp_path: Path) -> None:
    body = """\
    // What is sold.
    message Ware {
      double price = 1;
      // Degrees, too.
      double cost = 2;
    }
    """
    head = HEAD.replace(
        "syntax", "// meshpact:lint-ignore MP183 because this file is about heat\nsyntax"
    )
    assert found(tmp_path, body, head) == [("MP161", 9, "it has no comment")]


def test_several_waivers_may_stand_above_one_thing(tmp_path: Path) -> None:
    body = """\
    // What is sold.
    message Ware {
      // meshpact:lint-ignore MP183 because a thermometer calls it that
      // meshpact:lint-ignore MP161 because the name says all there is
      double price = 1;
    }
    """
    assert found(tmp_path, body) == []


def test_a_finding_of_buf_can_be_waived_as_well(tmp_path: Path) -> None:
    body = """\
    // What is sold.
    message Ware {
      // meshpact:lint-ignore FIELD_LOWER_SNAKE_CASE because partners know it so
      // How many.
      int32 Count = 1;
    }
    """
    assert found(tmp_path, body) == []


@pytest.mark.parametrize(
    ("waiver", "rule", "message"),
    [
        ("MP183", "MP002", "it gives no reason"),
        ("MP183 because", "MP002", "it gives no reason"),
        ("MP183 a thermometer calls it that", "MP002", "it gives no reason"),
        ("MP183 because TODO", "MP002", "'TODO' is no reason"),
    ],
)
def test_a_waiver_without_a_reason_waives_nothing(
    tmp_path: Path, waiver: str, rule: str, message: str
) -> None:
    body = f"""\
    // What is sold.
    message Ware {{
      // meshpact:lint-ignore {waiver}
      // Degrees.
      double price = 1;
    }}
    """
    assert found(tmp_path, body) == [
        (rule, 8, message),
        ("MP183", 10, "price sounds like money and is a double"),
    ]


@pytest.mark.parametrize(
    ("waiver", "message"),
    [
        ("MP999 because there is none", "there is no rule 'MP999'"),
        ("because there is none", "there is no rule 'because'"),
        ("", "it names no rule"),
    ],
)
def test_a_waiver_of_a_rule_that_is_not_there_is_found(
    tmp_path: Path, waiver: str, message: str
) -> None:
    body = f"""\
    // What is sold.
    // meshpact:lint-ignore {waiver}
    message Ware {{}}
    """
    assert found(tmp_path, body) == [("MP001", 7, message)]


def test_a_waiver_that_waives_nothing_is_found(tmp_path: Path) -> None:
    body = """\
    // What is sold.
    // meshpact:lint-ignore MP183 because thermometers call it that
    // meshpact:lint-ignore ENUM_PASCAL_CASE because partners know it so
    message Ware {}
    """
    assert found(tmp_path, body) == [
        ("MP003", 7, "MP183 finds nothing here"),
        ("MP003", 8, "ENUM_PASCAL_CASE finds nothing here"),
    ]


def test_a_waiver_of_a_rule_that_did_not_run_is_not_judged(tmp_path: Path) -> None:
    body = """\
    // What is sold.
    // meshpact:lint-ignore MP201 because another mesh has the role
    message Ware {}
    """
    assert found(tmp_path, body) == []


def test_a_waiver_is_no_comment_of_the_thing_it_stands_above(tmp_path: Path) -> None:
    body = """\
    // meshpact:lint-ignore MP183 because thermometers call it that
    message Ware {
      // Degrees.
      double price = 1;
    }
    """
    assert found(tmp_path, body) == [("MP161", 7, "it has no comment")]
