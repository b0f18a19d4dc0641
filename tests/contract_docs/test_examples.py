"""The example JSON of the pages keeps to the rules of the contract."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import protovalidate
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import Message

from contract_docs.publishing import (
    DEMO,
    REFERENCE,
    ROOT,
    fenced,
    generated_modules,
    openapi,
    published,
    shop,
)
from meshpact.contracts.docs import Form

MODULES = {
    REFERENCE: generated_modules(ROOT / "generated", "acme"),
    DEMO: generated_modules(DEMO.parent / "generated", "demo"),
}


def message(full_name: str) -> Message:
    """An empty message of the generated code."""
    found = descriptor_pool.Default().FindMessageTypeByName(full_name)
    return message_factory.GetMessageClass(found)()


@pytest.mark.parametrize("protos", [REFERENCE, DEMO])
def test_every_request_and_response_keeps_to_the_rules(protos: Path, tmp_path: Path) -> None:
    for module in MODULES[protos]:
        importlib.import_module(module)
    document = openapi(protos, tmp_path)
    checked = 0
    for path, item in document["paths"].items():
        post = item["post"]
        for content in (post["requestBody"]["content"], post["responses"]["200"]["content"]):
            media = content["application/json"]
            name = media["schema"]["$ref"].rpartition("/")[2]
            made = message(name)
            json_format.ParseDict(media["example"], made)
            assert protovalidate.Validator().collect_violations(made) == [], (path, name)
            checked += 1
    assert checked >= 20


def test_names_are_in_lower_camel_case(tmp_path: Path) -> None:
    document = openapi(REFERENCE, tmp_path)
    reserve = document["paths"]["/acme.retail.inventory.v1.InventoryService/ReserveStock"]["post"]
    example = reserve["requestBody"]["content"]["application/json"]["example"]
    assert set(example) == {"requestId", "lines"}


def test_what_has_a_language_of_its_own_is_left_out(tmp_path: Path) -> None:
    body = """
      message ListRequest {
        string page_token = 1;
        string filter = 2 [(buf.validate.field).string.max_len = 100];
        string order_by = 3 [(buf.validate.field).string = {in: ["name", "price"]}];
        string sku = 4;
      }
      service Shop {
        option (meshpact.policy.v1.service) = {
          access: {roles: "a"} deadline: {default: {seconds: 1}} audit: {level: AUDIT_LEVEL_NONE}
        };
        rpc Find(ListRequest) returns (ListRequest);
      }
    """
    document = openapi(shop(tmp_path / "protos", body), tmp_path / "out")
    (item,) = document["paths"].values()
    example = item["post"]["requestBody"]["content"]["application/json"]["example"]
    assert list(example) == ["orderBy", "sku"]
    assert example["orderBy"] == "name"


RULES = {
    "min_len": ("string", "string.min_len = 20"),
    "max_len": ("string", "string.max_len = 2"),
    "len": ("string", "string.len = 3"),
    "max_bytes": ("string", "string.max_bytes = 3"),
    "const": ("string", 'string.const = "a \\"b\\""'),
    "in": ("string", 'string = {in: ["red", "green"]}'),
    "not_in": ("string", 'string = {not_in: ["not in"]}'),
    "example": ("string", 'string = {pattern: "^S.*[a-z]$", example: "Super"}'),
    "prefix": ("string", 'string = {prefix: "pre-", suffix: ".end", max_len: 12}'),
    "contains": ("string", 'string.contains = "@home"'),
    "country": ("string", 'string.pattern = "^[A-Z]{2}$"'),
    "pattern_of_parts": ("string", 'string.pattern = "^(?:GB|US)-\\\\d{4,6}(-[a-f]+)?$"'),
    "pattern_of_classes": (
        "string",
        'string.pattern = "^[^\\\\s/]{3}[[:upper:]]\\\\w\\\\.\\\\p{L}$"',
    ),
    "pattern_of_length": ("string", 'string = {pattern: "^[a-z]+$", min_len: 30}'),
    "email": ("string", "string.email = true"),
    "hostname": ("string", "string.hostname = true"),
    "ip": ("string", "string.ip = true"),
    "ipv6": ("string", "string.ipv6 = true"),
    "uri": ("string", "string.uri = true"),
    "uuid": ("string", "string.uuid = true"),
    "tuuid": ("string", "string.tuuid = true"),
    "ulid": ("string", "string.ulid = true"),
    "ip_prefix": ("string", "string.ip_prefix = true"),
    "host_and_port": ("string", "string.host_and_port = true"),
    "header": ("string", "string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME"),
    "data": ("bytes", "bytes = {min_len: 9, max_len: 9}"),
    "ip_bytes": ("bytes", "bytes.ip = true"),
    "small": ("int32", "int32 = {gte: -5, lt: -1}"),
    "outside": ("int64", "int64 = {gt: 7, lt: -7}"),
    "unsigned": ("uint64", "uint64.gt = 1000"),
    "share": ("double", "double = {gt: 0, lt: 0.5, finite: true}"),
    "none_of": ("fixed64", "fixed64 = {not_in: [1, 2]}"),
    "even": ("int32", 'cel = {id: "even" message: "even" expression: "this % 2 == 0"}'),
    "agreed": ("bool", "bool.const = true"),
    "refused": ("bool", "bool.const = false"),
    "color": ("Color", "enum = {defined_only: true, not_in: [0, 1]}"),
    "must": ("Color", "required = true"),
    "list": (
        "repeated string",
        "repeated = {min_items: 3, unique: true, items: {string: {max_len: 5}}}",
    ),
    "ids": (
        "repeated string",
        "repeated = {min_items: 2, unique: true, items: {string: {uuid: true}}}",
    ),
    "counts": (
        "map<string, int32>",
        "map = {min_pairs: 2, keys: {string: {len: 3}}, values: {int32: {gt: 3}}}",
    ),
    "took": ("google.protobuf.Duration", "duration = {gt: {seconds: 1}, lte: {seconds: 2}}"),
    "once": ("google.protobuf.Timestamp", "timestamp.lt_now = true"),
    "later": ("google.protobuf.Timestamp", "timestamp.gt_now = true"),
    "wrapped": ("google.protobuf.StringValue", "string.len = 4"),
}


@pytest.fixture(scope="module")
def without_example(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The messages for which no example was found: one message a rule, in one contract."""
    folder = tmp_path_factory.mktemp("rules")
    body = "enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_BLUE = 2; }\n" + "".join(
        f"message Of_{name} {{ {kind} f_{name} = 1 [(buf.validate.field).{rule}]; }}\n"
        for name, (kind, rule) in RULES.items()
    )
    return published(shop(folder / "protos", body), folder / "out").invalid_examples


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_an_example_that_keeps_to_it(
    name: str, without_example: tuple[str, ...]
) -> None:
    assert f"shop.v1.Of_{name}" not in without_example


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$x", "^(a|aa)+$z", "(x+x+)+[^x]{3}$y", "^(?:a?){64}a{64}$"]
)
def test_a_pattern_that_python_would_try_for_ever_costs_no_time(
    tmp_path: Path, pattern: str
) -> None:
    """A test that takes minutes is ended: here nothing is tried twice."""
    rule = f'(buf.validate.field).string.pattern = "{pattern}"'
    body = f"message Odd {{ string name = 1 [{rule}]; repeated string sku = 2; }}"
    assert list(examples(tmp_path, body)) == ["Odd"]


def examples(tmp_path: Path, body: str) -> dict[str, Any]:
    """The example of each message of a contract, in the order of their names."""
    published(shop(tmp_path / "protos", body), tmp_path / "out", Form.MARKDOWN)
    text = (tmp_path / "out" / "shop.v1.md").read_text(encoding="utf-8")
    return {
        name: json.loads(fenced(part, "json")[0])
        for name, _, part in (
            each.partition("\n") for each in text.partition("## Messages\n")[2].split("### ")[1:]
        )
    }


def test_rules_in_cel_about_other_fields_are_followed(tmp_path: Path) -> None:
    body = """
    message Stay {
      option (buf.validate.message).cel = {
        id: "order" message: "ends after it starts" expression: "this.starts < this.ends"
      };
      option (buf.validate.message).cel = {
        id: "least" message: "at least seven" expression: "this.nights >= 7"
      };
      google.protobuf.Timestamp starts = 1;
      google.protobuf.Timestamp ends = 2;
      int32 nights = 3;
    }
    """
    done = published(shop(tmp_path / "protos", body), tmp_path / "html")
    assert done.invalid_examples == ()
    assert examples(tmp_path, body)["Stay"]["nights"] == 7


def test_a_response_shows_the_kind_of_text_that_the_request_asks_with(tmp_path: Path) -> None:
    body = """
    message Ask { string sku = 1 [(buf.validate.field).string = {len: 5, example: "85123"}]; }
    message Answer { string sku = 1; }
    """
    assert examples(tmp_path, body)["Answer"] == {"sku": "85123"}


def test_of_a_oneof_the_first_field_is_shown(tmp_path: Path) -> None:
    body = "message Choice { oneof way { string road = 1; string rail = 2; } }"
    assert examples(tmp_path, body) == {"Choice": {"road": "road"}}


def test_a_message_inside_itself_ends(tmp_path: Path) -> None:
    body = "message Tree { string name = 1; Tree left = 2; repeated Tree more = 3; }"
    assert "left" in examples(tmp_path, body)["Tree"]


def test_a_rule_that_nothing_keeps_to_is_said_to_have_no_example(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = (
        "message Never { string word = 1 "
        '[(buf.validate.field).cel = {id: "n" message: "no" expression: "false"}]; }'
    )
    protos = shop(tmp_path / "protos", body)
    done = published(protos, tmp_path / "out")
    assert done.invalid_examples == ("shop.v1.Never",)
    page = (tmp_path / "out" / "packages" / "shop.v1.html").read_text(encoding="utf-8")
    assert "No value was found that keeps to all rules" in page
