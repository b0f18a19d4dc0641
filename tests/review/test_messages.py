"""Rules of messages as wholes, and messages that take the place of others, by what they mean."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from meshpact.contracts.image import compile_image
from meshpact.contracts.review.model import Change
from meshpact.contracts.review.run import Question, review
from meshpact.contracts.review.settings import Settings
from meshpact.contracts.review.sides import Asked
from review.guardworld import Contracts
from review.messagerules import CEL, CHOICES, DRIFT, LOOSER, MEMBERS, ONEOFS, REPLACED, TIGHTER
from review.reviews import HEAD, write

CASES: Final = (*CEL, *DRIFT, *ONEOFS)
_PAIRS: Final = [
    (f"Choice{number}", *pair)
    for number, pair in enumerate(
        (members, *rules)
        for members in itertools.product(MEMBERS, MEMBERS)
        for rules in itertools.product(CHOICES, CHOICES)
    )
]
"""Name, the fields on both sides, the rules on both."""
_TEXTS: Final = (None, "", "x", "xx")
_BODIES: Final = tuple(itertools.product(("", "x", "xx"), (0, 1), ((), ("",), ("x",)), _TEXTS))
"""Values of a, b, c and d."""


def _written(root: Path, side: int) -> Path:
    lines: list[str] = []
    predefined: list[str] = []
    asked: list[tuple[str, str]] = []
    for case in CASES:
        inside, beside = ((case.old, case.old_beside), (case.new, case.new_beside))[side]
        (predefined if case in CEL else lines).append(beside)
        lines.append(f"message {case.name} {{ {inside} }}")
        asked.append((case.name, case.name))
    for name, members, *rules in _PAIRS:
        option = f"option (buf.validate.message).oneof = {{{rules[side]}}};" if rules[side] else ""
        lines.append(f"message {name} {{ {option} {members[side]} }}")
        asked.append((name, name))
    for each in REPLACED:
        lines += [each.beside, f"message {each.name}Was {{ {each.was} }}"]
        lines += [f"message {each.name}Now {{ {each.now} }}"]
        asked.append((f"Put{each.name}", f"{each.name}{('Was', 'Now')[side]}"))
    calls = "\n".join(f"rpc Do{name}({message}) returns (Told);" for name, message in asked)
    extensions = HEAD.replace("proto3", "proto2") + "\n".join(predefined)
    write(root, extensions, "shop/v1/rules.proto")
    text = (
        f'{HEAD}import "shop/v1/rules.proto";\nmessage Told {{}}\n'
        'service Shop { option (meshpact.policy.v1.service) = {access: {roles: "r"}'
        f" deadline: {{default: {{seconds: 1}}}} audit: {{level: AUDIT_LEVEL_NONE}} }};\n{calls}\n"
    )
    return write(root, text + "}\n" + "\n".join(lines))


@dataclass(frozen=True)
class Compared:
    """Both sides, and what the review found of each message."""

    sides: tuple[Contracts, Contracts]
    found: Mapping[str, list[Change]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("messages")
    roots = [_written(folder / str(side), side) for side in (0, 1)]
    found: dict[str, list[Change]] = {}
    settings = Settings(wire="")
    for change in review(Question(str(roots[0]), Asked([roots[1]])), settings, {}).changes:
        message = change.subject.removeprefix("shop.v1.").partition(".")[0]
        found.setdefault(message, []).append(change)
    one, two = (Contracts(compile_image([root])) for root in roots)
    return Compared((one, two), found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_message_is_told_by_what_its_rules_mean(compared: Compared, case: Any) -> None:
    found = compared.found.get(case.name, [])
    assert {change.delta.rule for change in found} == case.found
    for change in found:
        assert "before: " in change.delta.message
        assert change.delta.before != change.delta.after


def test_choices_of_fields_are_what_protovalidate_decides_anew(compared: Compared) -> None:
    wrong: list[str] = []
    for name, members, *rules in _PAIRS:
        before, after = (_accepted(side, name) for side in compared.sides)
        expected = set[str]()
        if before - after:
            expected.add(TIGHTER)
        if after - before:
            expected.add(LOOSER)
        found = {change.delta.rule for change in compared.found.get(name, ())}
        if found != expected:
            wrong.append(f"{members} {rules}: found {found}, decided anew {expected}")
    assert not wrong, "\n".join(wrong)


def _accepted(side: Contracts, name: str) -> set[Any]:
    make = side.message(f"shop.v1.{name}")
    return {
        body
        for body in _BODIES
        if not side.violations(make(a=body[0], b=body[1], c=body[2], d=body[3]))
    }


@pytest.mark.parametrize("case", REPLACED, ids=lambda case: case.name)
def test_a_request_that_another_took_the_place_of_is_compared_with_it(
    compared: Compared, case: Any
) -> None:
    names = (f"{case.name}Now", f"{case.name}Other")
    found = [change for name in names for change in compared.found.get(name, ())]
    told = {(c.delta.rule, c.subject.removeprefix("shop.v1.").partition(".")[2]) for c in found}
    assert told == case.found
    for change in found:
        assert change.delta.message.startswith(f"in place of {case.name}")
        assert f"in Shop/DoPut{case.name}: " in change.delta.message


def test_a_predefined_rule_is_shown_with_what_it_means(compared: Compared) -> None:
    (change,) = compared.found["Drift"]
    assert "this == this.lowerAscii()" in change.delta.before
    assert 'this == "a"' in change.delta.after


def test_values_of_an_enum_are_named_where_they_are_all_that_differs(compared: Compared) -> None:
    (change,) = compared.found["MoreValues"]
    assert change.delta.after.endswith("of 0, 1, 2")
    assert change.delta.before.endswith("of 0, 1")


def test_one_review_tries_so_many_texts_and_says_what_it_did_not_try(tmp_path: Path) -> None:
    for side, letter in (("old", "a"), ("new", "b")):
        fields = "".join(
            f"string f{n} = {n} [(buf.validate.field).string.pattern = '^{letter}{{{n}}}$'];"
            for n in range(1, 8)
        )
        write(tmp_path / side, f"{HEAD}message Ask {{ {fields} }}")
    question = Question(str(tmp_path / "old"), Asked([tmp_path / "new"]), texts=1_000)
    once, again = (review(question, Settings(wire=""), {}).changes for _ in range(2))
    assert once == again
    tried = [change for change in once if "cannot tell" not in change.delta.message]
    left = [change for change in once if "cannot tell" in change.delta.message]
    assert {change.subject[-2:] for change in tried} == {"f1", "f2", "f3", "f4"}
    assert {change.subject[-2:] for change in left} == {"f5", "f6", "f7"}
    for change in left:
        assert "before: string { pattern: " in change.delta.message
        assert "one review tries only so many texts" in change.delta.message


@pytest.mark.parametrize(
    "pattern", [r"^((((a*)*)*)*)*$", "^(a+)+$x", "(" * 60 + "a" + ")" * 60, "^(a|a)*b{0,1000}$"]
)
def test_no_pattern_keeps_a_review_busy(tmp_path: Path, pattern: str) -> None:
    for side, more in (("old", ""), ("new", "c")):
        rule = f"(buf.validate.field).string.pattern = '{pattern}{more}'"
        write(tmp_path / side, f"{HEAD}message Ask {{ string a = 1 [{rule}]; }}")
    question = Question(str(tmp_path / "old"), Asked([tmp_path / "new"]))
    assert review(question, Settings(wire=""), {}).changes


def test_circles_of_other_lengths_do_not_keep_a_review_busy(tmp_path: Path) -> None:
    policy = (
        'option (meshpact.policy.v1.service) = {access: {roles: "r"}'
        " deadline: {default: {seconds: 1}} audit: {level: AUDIT_LEVEL_NONE} };"
    )
    circles = "".join(
        f"message {name}{n} {{ {name}{(n + 1) % size} next = 1; }}\n"
        for name, size in (("A", 60), ("B", 59))
        for n in range(size)
    )
    for side, asked in (("old", "A0"), ("new", "B0")):
        call = f"service Shop {{ {policy} rpc Do({asked}) returns (A0); }}\n"
        write(tmp_path / side, f"{HEAD}{call}{circles}")
    question = Question(str(tmp_path / "old"), Asked([tmp_path / "new"]))
    assert any("not all were compared" in each for each in review(question, Settings(), {}).remarks)
