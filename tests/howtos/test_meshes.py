"""Every mesh.yaml on a page is one that Meshpact takes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import fields

from howtos.pages import PAGES, blocks
from meshpact.mesh.config import MeshConfig, load

NO_MESHES = ("acme.legacy", "wire:", "- uses", "include:", "repos:")
"""How YAML begins that is something else: an overlay, approvals, templates for CI."""
KEYS = tuple(f"{each.encode_name}:" for each in fields(MeshConfig))
"""How a mesh.yaml begins, or a part of one that stands for itself on a page."""
AROUND = """\
trust_domain: acme.example
services:
  store: {factory: "shop:store"}
  orders: {factory: "shop:orders"}
  sales: {factory: "shop:sales"}
  dashboard: {factory: "shop:dashboard"}
driver: {run: "shop:drive", identity: store}
"""


def _meshes() -> Iterator[tuple[str, str]]:
    for path in sorted(PAGES.glob("*.md")):
        page = path.stem
        for number, text in enumerate([*blocks(page, "yaml"), *blocks(page, "")]):
            body = re.sub(r"^#.*\n", "", text)
            if body.startswith(KEYS):
                yield f"{page}-{number}", body
            else:
                assert text not in blocks(page, "yaml") or body.startswith(NO_MESHES), page


MESHES = dict(_meshes())


@pytest.mark.parametrize("text", MESHES.values(), ids=MESHES)
def test_a_mesh_on_a_page_loads(tmp_path: Path, text: str) -> None:
    if not text.startswith("trust_domain:"):
        text = AROUND + text
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    assert load(path).trust_domain
