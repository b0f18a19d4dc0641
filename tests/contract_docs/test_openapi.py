"""The OpenAPI document is sound by its own schema, and says what the contracts say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from contract_docs.publishing import DEMO, HOSTILE, REFERENCE, openapi, shop

KINDS = """
message Kinds {
  int64 long = 1;
  uint32 small = 2 [(buf.validate.field).uint32 = {gte: 1, lt: 10}];
  bytes data = 3;
  repeated string tags = 4 [(buf.validate.field).repeated = {
    min_items: 1 max_items: 3 unique: true items: {string: {pattern: "^[a-z]+$"}}
  }];
  map<string, Kinds> inner = 5;
  google.protobuf.Timestamp at = 6;
  google.protobuf.StringValue maybe = 7;
  Kind kind = 8 [deprecated = true];
  string only_re2 = 9 [(buf.validate.field).string.pattern = "(?i)^\\\\pL+$"];
  string id = 10 [(buf.validate.field).string.uuid = true];
  oneof way { string road = 11; string rail = 12; }
}
enum Kind { KIND_UNSPECIFIED = 0; KIND_BIG = 1; }
"""


@pytest.mark.parametrize("protos", [REFERENCE, DEMO])
def test_the_documents_of_real_contracts_are_sound(protos: Path, tmp_path: Path) -> None:
    validate(openapi(protos, tmp_path))


@pytest.mark.parametrize("body", [KINDS, HOSTILE, ""])
def test_the_documents_of_odd_contracts_are_sound(body: str, tmp_path: Path) -> None:
    validate(openapi(shop(tmp_path / "protos", body), tmp_path / "out"))


def schema(tmp_path: Path) -> dict[str, Any]:
    service = (
        "service Shop { option (meshpact.policy.v1.service) = {"
        'access: {roles: "a"} deadline: {default: {seconds: 1}} audit: {level: AUDIT_LEVEL_NONE}};'
        " rpc Get(Kinds) returns (Kinds); }"
    )
    document = openapi(shop(tmp_path / "protos", KINDS + service), tmp_path / "out")
    found: dict[str, Any] = document["components"]["schemas"]["shop.v1.Kinds"]
    return found


def test_fields_are_what_canonical_json_makes_of_them(tmp_path: Path) -> None:
    found = schema(tmp_path)
    fields = found["properties"]
    assert fields["long"]["type"] == "string"
    assert fields["small"]["exclusiveMaximum"] == 10
    assert fields["small"]["minimum"] == 1
    assert fields["data"]["contentEncoding"] == "base64"
    assert fields["tags"] == {
        "type": "array",
        "items": {"type": "string", "pattern": "^[a-z]+$"},
        "uniqueItems": True,
        "minItems": 1,
        "maxItems": 3,
    }
    inner = fields["inner"]["additionalProperties"]
    assert inner == {"$ref": "#/components/schemas/shop.v1.Kinds"}
    assert fields["at"]["format"] == "date-time"
    assert fields["maybe"]["type"] == ["string", "null"]
    assert fields["kind"]["deprecated"] is True
    assert "pattern" not in fields["onlyRe2"]
    assert fields["id"]["format"] == "uuid"
    assert found["required"] == ["small", "tags", "onlyRe2", "id"]


def test_a_method_says_whom_it_asks_for_and_how_it_fails(tmp_path: Path) -> None:
    document = openapi(REFERENCE, tmp_path)
    post = document["paths"]["/acme.retail.orders.v1.OrderService/PlaceOrder"]["post"]
    assert post["security"] == [{"workload": [], "endUser": ["orders.write"]}]
    assert "`OUT_OF_STOCK` (FAILED_PRECONDITION)" in post["responses"]["400"]["description"]
    assert "`ROLE_MISSING`" in post["responses"]["403"]["description"]
    assert "Deadline" in post["description"]
