"""Rules and policies in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import contractfiles
from contract_docs.publishing import published, shop
from meshpact.contracts.docs import Form
from meshpact.contracts.docs.model import summary

RULES = {
    "string = {min_len: 1, max_len: 60}": "required; 1 to 60 characters",
    "string.max_len = 1": "at most 1 character",
    "string.len = 3": "required; exactly 3 characters",
    'string.pattern = "^a|b$"': "required; matches <code>^a&#124;b$</code>",
    'string = {in: ["a", "b"]}': 'required; one of "a", "b"',
    "string.uuid = true": "required; a UUID",
    "string.email = false": "",
    "required = true": "required",
    'string = {prefix: "p", suffix: "s"}': 'required; begins with "p"; ends with "s"',
    'cel = {id: "x" message: "no spaces at the ends" expression: "true"}': "no spaces at the ends",
    "ignore: IGNORE_IF_ZERO_VALUE, string: {min_len: 4}": (
        "empty is fine; else:; at least 4 characters"
    ),
}
NUMBERS = {
    "int32 = {gte: 1, lte: 1000}": "required; 1 to 1,000",
    "int32 = {gt: 0}": "required; more than 0",
    "int32 = {lt: 5}": "less than 5",
    "int32 = {gt: 5, lt: 1}": "more than 5 or less than 1",
    "int32 = {gt: 5, lt: 9}": "required; more than 5 and less than 9",
    "int32.const = 7": "required; exactly 7",
}


def rules_of(tmp_path: Path, kind: str, rule: str) -> str:
    option = (
        f"[(buf.validate.field).{rule}]"
        if ":" not in rule.split("{")[0]
        else (f"[(buf.validate.field) = {{{rule}}}]")
    )
    body = f"message Thing {{ {kind} f = 1 {option}; }}"
    published(shop(tmp_path / "protos", body), tmp_path / "out", Form.MARKDOWN)
    text = (tmp_path / "out" / "shop.v1.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| `f` |"))
    return re.split(r" \| ?", row.removesuffix(" |"))[-1].replace("\\", "")


@pytest.mark.parametrize("rule", RULES)
def test_rules_of_texts_are_said(rule: str, tmp_path: Path) -> None:
    assert rules_of(tmp_path, "string", rule).removesuffix("|").strip() == RULES[rule]


@pytest.mark.parametrize("rule", NUMBERS)
def test_rules_of_numbers_are_said(rule: str, tmp_path: Path) -> None:
    assert rules_of(tmp_path, "int32", rule) == NUMBERS[rule]


POLICY = """
access: {
  roles: ["a.one", "a.two"] end_user: END_USER_REQUIRED scopes: "a.read" audience: "aud.example"
  bound_token: true
}
deadline: {default: {nanos: 500000000} max: {seconds: 120}}
rate: {requests: 10 per: {seconds: 60} by: RATE_KEY_END_USER}
concurrency: {max: 5}
criticality: CRITICALITY_SHEDDABLE
message_size: {request_bytes: 1024}
audit: {level: AUDIT_LEVEL_ALL required: true}
"""
SAID = [
    "Callers where the workload or its end user holds one of the roles `a.one`, `a.two`.",
    "A valid access token is required, for the audience `aud.example`, bound to the caller's "
    "certificate (RFC 8705).",
    "The token carries `a.read`.",
    "500 ms unless the caller sets one; 2 min at most.",
    "10 calls a minute for each end user; 10 at once after a pause.",
    "5 calls in one process at most.",
    "Refused first: callers bear it.",
    "Requests up to 1 KiB, responses up to 4 MiB.",
    "Every call leaves a line. A call whose line cannot be written is refused.",
]


def test_every_part_of_a_policy_is_said(tmp_path: Path) -> None:
    contractfiles.contract(tmp_path / "protos", contractfiles.service(service=POLICY))
    published(tmp_path / "protos", tmp_path / "out", Form.MARKDOWN)
    text = (tmp_path / "out" / "shop.v1.md").read_text(encoding="utf-8").replace("\\", "")
    for sentence in SAID:
        assert f"| {sentence} (of the service) |" in text
    assert "`TOKEN_BINDING_MISMATCH`" in text
    assert "`AUDIT_UNAVAILABLE`" in text


@pytest.mark.parametrize(
    ("comment", "first"),
    [
        ("Does it. And more.", "Does it."),
        ("Does it\nall. More.", "Does it all."),
        ("Without a stop", "Without a stop"),
        ("Version 1.2 of it. More.", "Version 1.2 of it."),
        ("Some, e.g. two. More.", "Some, e.g. two."),
        ("", ""),
    ],
)
def test_the_summary_is_the_first_sentence(comment: str, first: str) -> None:
    assert summary(comment) == first
