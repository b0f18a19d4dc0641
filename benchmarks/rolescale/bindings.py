"""A mesh with any number of role bindings in files, as an organization would have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

TRUST_DOMAIN: Final = "measure.example"
CALLERS: Final = tuple(f"spiffe://{TRUST_DOMAIN}/caller-{number}" for number in range(8))
ROLE: Final = "measure.caller"
OTHER_ROLES: Final = 50

_MESH: Final = f"""\
trust_domain: {TRUST_DOMAIN}
bindings_file: bindings.jsonl
issuers:
  - {{issuer: https://issuer.{TRUST_DOMAIN}, file: jwks.json, audiences: [measure]}}
roles:
  {ROLE}: {{}}
"""


def write_mesh(folder: Path, count: int, generation: int = 0) -> Path:
    """A mesh.yaml with `count` bindings: one for each of CALLERS, and others of every kind, none
    the same in two generations; of ten bindings two are of patterns."""
    mesh = folder / "mesh.yaml"
    if not mesh.exists():
        others = "".join(f"  measure.other{n}: {{}}\n" for n in range(OTHER_ROLES))
        mesh.write_text(_MESH + others, encoding="utf-8")
    aside = folder / "bindings.tmp"
    with aside.open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(json.dumps(_binding(number, count, generation)) + "\n")
    aside.replace(folder / "bindings.jsonl")
    return mesh


def _binding(number: int, count: int, generation: int) -> dict[str, str]:
    if number < len(CALLERS):
        return {"role": ROLE, "workload": CALLERS[number]}
    role = f"measure.other{number % OTHER_ROLES}"
    name = f"{generation}-{number}"
    path = f"spiffe://{TRUST_DOMAIN}/ns/{name}"
    if number < len(CALLERS) + max(2, count // 100):
        return {"role": role, "workload": f"{path}/*"}
    kind = number % 3
    if kind == 0:
        return {"role": role, "workload": f"{path}/server"}
    return {"role": role, "user" if kind == 1 else "group": f"person-{name}"}
