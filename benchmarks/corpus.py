"""A synthetic tree of contracts as large as that of a large organization, the same on every run.

Usage: corpus.py FOLDER [--files N] [--fields N] [--seed N]. Three files of four are sound; in the
rest something is missing, as in life. Files are written whole, below FOLDER/corp.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FILES: Final = 5_000
FIELDS: Final = 60_000
SEED: Final = 20260101

_NOUNS: Final = (
    "Account Asset Batch Booking Branch Budget Campaign Carrier Catalog Channel Claim "
    "Contract Coupon Depot Device Dispatch Document Entry Event Fleet Gate Invoice Item Job "
    "Ledger License Listing Load Meter Order Outlet Parcel Partner Plan Policy Product Quota "
    "Region Report Route Sensor Shelf Site Slot Stock Supplier Ticket Tour Transfer Vehicle "
    "Voucher Ware Zone"
)
_SCALARS: Final = (
    ("string", "[(buf.validate.field).string.max_len = {n}]"),
    ("int64", ""),
    ("bool", ""),
    ("string", "[(buf.validate.field).string.uuid = true]"),
    ("int32", "[(buf.validate.field).int32 = {{ gte: 0 lte: {n} }}]"),
    ("google.protobuf.Timestamp", ""),
)
_WORDS: Final = "area code kind label level mark note part rank shade size state step type"
_POLICY: Final = """\
  option (meshpact.policy.v1.service) = {{
    access: {{ roles: "{role}.reader" }}
    deadline: {{
      default: {{ seconds: {seconds} }}
      max: {{ seconds: 10 }}
    }}
    audit: {{ level: AUDIT_LEVEL_DENIALS }}
  }};
"""


def write(folder: Path, files: int = FILES, fields: int = FIELDS, seed: int = SEED) -> None:
    """Write `files` contracts with about `fields` fields in all below a folder."""
    for name, text in contracts(files, fields, seed):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def contracts(files: int, fields: int, seed: int = SEED) -> Iterator[tuple[str, str]]:
    """The name and the text of each file."""
    chance = random.Random(seed)
    for number in range(files):
        count = fields * (number + 1) // files - fields * number // files
        yield _contract(number, count, chance)


def _contract(number: int, fields: int, chance: random.Random) -> tuple[str, str]:
    noun = chance.choice(_NOUNS.split())
    area, unit = f"area{number // 100:03}", f"unit{number:04}"
    package = f"corp.{area}.{unit}.v1"
    sound = chance.random() < 0.75
    service = f"{noun}Service"
    role = f"{area}.{unit}"
    head = [
        f"// What is kept of each {noun.lower()}.",
        'syntax = "proto3";',
        "",
        f"package {package};",
        "",
        'import "buf/validate/validate.proto";',
        'import "google/protobuf/timestamp.proto";',
        'import "meshpact/policy/v1/policy.proto";',
        "",
        f"// Keeps every {noun.lower()} of {unit}.",
        f"service {service} {{",
        _POLICY.format(role=role, seconds=chance.choice((1, 2, 5))),
        *_method("Get", noun, "NO_SIDE_EFFECTS", "", sound or chance.random() < 0.7),
        *_method("Change", noun, "IDEMPOTENT", f"{role}.writer", sound or chance.random() < 0.7),
        "}",
        "",
    ]
    body = [
        *_error(noun, unit, sound or chance.random() < 0.7),
        *_message(noun, _fields(max(1, fields - 4), sound, chance)),
        *_message(f"Get{noun}Request", _fields(1, sound, chance)),
        *_message(f"Get{noun}Response", [f"  // The {noun.lower()}.", f"  {noun} found = 1;"]),
        *_message(f"Change{noun}Request", ["  // As it shall be.", f"  {noun} wanted = 1;"]),
        *_message(f"Change{noun}Response", ["  // As it is now.", f"  {noun} changed = 1;"]),
    ]
    return f"{package.replace('.', '/')}/{noun.lower()}.proto", "\n".join([*head, *body])


def _method(verb: str, noun: str, level: str, role: str, sound: bool) -> Iterator[str]:
    name = f"{verb}{noun}"
    if sound:
        yield f"  // {verb}s one {noun.lower()} as a whole."
    yield f"  rpc {name}({name}Request) returns ({name}Response) {{"
    yield f"    option idempotency_level = {level};"
    yield "    option (meshpact.policy.v1.method) = {"
    if role:
        yield f'      access: {{ roles: "{role}" }}'
    yield '      errors: "NOT_FOUND"'
    yield "    };"
    yield "  }"
    yield ""


def _error(noun: str, unit: str, sound: bool) -> Iterator[str]:
    prefix = f"{noun.upper()}_ERROR"
    yield f"// What goes wrong with a {noun.lower()}."
    yield f"enum {noun}Error {{"
    yield f'  option (meshpact.policy.v1.errors).domain = "{unit}.corp.example";'
    yield ""
    yield "  // Not used."
    yield f"  {prefix}_UNSPECIFIED = 0;"
    if sound:
        yield "  // It is not there."
    yield f"  {prefix}_NOT_FOUND = 1 [(meshpact.policy.v1.error) = {{"
    yield "    code: CODE_NOT_FOUND"
    yield '    message: "There is none called {name}."'
    yield '    metadata: ["name"]'
    yield "  }];"
    yield "}"
    yield ""


def _message(name: str, fields: list[str]) -> Iterator[str]:
    yield f"// A {name}, as it is sent."
    yield f"message {name} {{"
    yield from fields
    yield "}"
    yield ""


def _fields(count: int, sound: bool, chance: random.Random) -> list[str]:
    lines: list[str] = []
    for number in range(1, count + 1):
        kind, rule = chance.choice(_SCALARS)
        name = f"{chance.choice(_WORDS.split())}_{number}"
        lacks = not sound and chance.random() < 0.15
        if not lacks:
            lines.append(f"  // The {name.replace('_', ' ')} that the books have.")
        written = rule.format(n=chance.randrange(1, 500)) if rule and not lacks else ""
        lines.append(f"  {kind} {name} = {number}{' ' + written if written else ''};")
    return lines


def main() -> None:
    """Write the corpus to a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--fields", type=int, default=FIELDS)
    parser.add_argument("--seed", type=int, default=SEED)
    wanted = parser.parse_args()
    write(wanted.folder, wanted.files, wanted.fields, wanted.seed)


if __name__ == "__main__":
    main()
