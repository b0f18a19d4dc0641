"""Each rule has a page: what it calls found is found, and what it calls right is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import contractfiles
from lint.cases import HEAD
from meshpact.contracts.lint import Options, lint
from meshpact.contracts.lint.model import LintRule
from meshpact.contracts.lint.run import ALL_RULES

DOCS = Path(__file__).parents[2] / "docs" / "lint"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
each_rule = pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.id)


def page(rule: LintRule) -> str:
    return (DOCS / f"{rule.id}.md").read_text(encoding="utf-8")


def example(rule: LintRule, part: str) -> dict[str, str]:
    """The contract and the mesh.yaml of a part of the page, by language."""
    text = page(rule).partition(f"## {part}\n")[2].partition("\n## ")[0]
    return dict(BLOCK.findall(text))


def found(root: Path, blocks: dict[str, str]) -> set[str]:
    """The rules that find something in an example."""
    name = "shop/v1/shop.proto"
    text = HEAD + blocks["proto"]
    files = {f"protos/{name}": text, "mesh.yaml": blocks.get("yaml", "")}
    contractfiles.write(
        root, {path: text.replace("PACKAGE", "shop.v1") for path, text in files.items()}
    )
    mesh = root / "mesh.yaml" if "yaml" in blocks else None
    report = lint(Options([root / "protos"], mesh=mesh)).report
    return {finding.rule for finding in report.findings}


@each_rule
def test_what_the_page_calls_found_is_found(rule: LintRule, tmp_path: Path) -> None:
    assert rule.id in found(tmp_path, example(rule, "Found"))


@each_rule
def test_what_the_page_calls_right_is_not_found(rule: LintRule, tmp_path: Path) -> None:
    blocks = example(rule, "Found") | example(rule, "Right")
    assert rule.id not in found(tmp_path, blocks)


@each_rule
def test_the_page_says_what_the_rule_says(rule: LintRule) -> None:
    text = page(rule)
    assert text.startswith(f"# {rule.id} {rule.name}\n\n{rule.summary}\n\n**Why:** {rule.why}.\n")
    assert f"Severity: {rule.severity.value}." in text


def test_the_table_of_rules_is_that_of_the_code() -> None:
    rows = re.findall(
        r"^\| \[(MP\d+)\]\(\1\.md\) \| (.*) \| (.*) \|$",
        (DOCS / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert rows == [(rule.id, rule.name, rule.summary) for rule in ALL_RULES]


def test_there_is_no_page_without_a_rule() -> None:
    pages = {path.stem for path in DOCS.glob("MP*.md")}
    assert pages == {rule.id for rule in ALL_RULES}
