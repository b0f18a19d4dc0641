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


def blocks_of(rule: LintRule, part: str) -> dict[str, str]:
    """The example of a part; what it leaves out is that of the part before it."""
    found = example(rule, "Found")
    return found if part == "Found" else found | example(rule, "Right")


def is_apart(rule: LintRule) -> bool:
    """Whether the examples of a rule are linted by themselves: it looks at all there is."""
    return rule.needs_mesh or rule.id == "MP152"


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], set[str]]:
    """The rules that find something in an example, by the rule of its page and the part."""
    together: dict[str, str] = {}
    names: dict[str, tuple[str, str]] = {}
    found: dict[tuple[str, str], set[str]] = {}
    for rule in ALL_RULES:
        for part in ("Found", "Right"):
            package = f"{rule.id}.{part}.v1".lower()
            name = f"{package.replace('.', '/')}/shop.proto"
            blocks = {
                language: text.replace("PACKAGE", package)
                for language, text in blocks_of(rule, part).items()
            }
            text = HEAD.replace("PACKAGE", package) + blocks["proto"]
            if is_apart(rule):
                root = tmp_path_factory.mktemp("alone")
                contractfiles.write(
                    root, {f"protos/{name}": text, "mesh.yaml": blocks.get("yaml", "")}
                )
                mesh = root / "mesh.yaml" if "yaml" in blocks else None
                report = lint(Options([root / "protos"], mesh=mesh)).report
                found[rule.id, part] = {each.rule for each in report.findings}
            else:
                together[name] = text
                names[name] = (rule.id, part)
                found[rule.id, part] = set()
    root = contractfiles.write(tmp_path_factory.mktemp("together"), together)
    for each in lint(Options([root])).report.findings:
        found[names[str(Path(each.file).relative_to(root))]].add(each.rule)
    return found


@each_rule
def test_what_the_page_calls_found_is_found(
    rule: LintRule, findings: dict[tuple[str, str], set[str]]
) -> None:
    assert rule.id in findings[rule.id, "Found"]


@each_rule
def test_what_the_page_calls_right_is_not_found(
    rule: LintRule, findings: dict[tuple[str, str], set[str]]
) -> None:
    assert rule.id not in findings[rule.id, "Right"]


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


def test_the_contract_that_the_guide_shows_is_one_that_lint_finds_nothing_in(
    tmp_path: Path,
) -> None:
    guide = (DOCS.parent / "how-to" / "write-a-contract.md").read_text(encoding="utf-8")
    (contract, *_) = [text for language, text in BLOCK.findall(guide) if language == "proto"]
    contractfiles.write(tmp_path, {"acme/greetings/v1/greetings.proto": contract})
    assert lint(Options([tmp_path])).report.findings == ()
