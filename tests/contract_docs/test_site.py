"""The site as browsers read it: links, landmarks, contrast, and nothing of a contract live."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from contract_docs.publishing import EVIL, HOSTILE, REFERENCE, published, shop
from meshpact.contracts.docs import Form

VOID: Final = frozenset({"meta", "link", "input", "br"})


class Page(HTMLParser):
    """What matters of a page. Tags that do not match are an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[dict[str, str]]:
        return [attrs for tag, attrs in self.tags if tag == name]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    published(REFERENCE, out, mesh=REFERENCE.parent / "mesh.yaml")
    return out


def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_every_link_leads_to_a_place_that_is_there(site: Path) -> None:
    found = pages(site)
    for path, page in found.items():
        for attrs in [*page.all("a"), *page.all("link")]:
            target, _, anchor = attrs["href"].partition("#")
            other = (path.parent / target).resolve() if target else path
            assert other.is_file(), attrs
            assert not anchor or anchor in found[other].ids, attrs


def test_what_the_search_knows_is_there(site: Path) -> None:
    script = (site / "assets" / "site.js").read_text(encoding="utf-8")
    line = next(line for line in script.splitlines() if line.startswith("const INDEX = "))
    entries: list[list[str]] = json.loads(line.removeprefix("const INDEX = ").removesuffix(";"))
    found = {path.relative_to(site).as_posix(): page for path, page in pages(site).items()}
    for _, _, _, place in entries:
        path, _, anchor = place.partition("#")
        assert not anchor or anchor in found[path].ids, place
    names = {(kind, name) for kind, name, _, _ in entries}
    assert {("method", "ReserveStock"), ("field", "request_id"), ("error", "OUT_OF_STOCK")} <= names


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in pages(site).values():
        assert [attrs["src"].removeprefix("../") for attrs in page.all("script")] == [
            "assets/site.js"
        ]
        assert not [attrs for _, attrs in page.tags for name in attrs if name.startswith("on")]
        assert not [attrs for _, attrs in page.tags if "style" in attrs]
    for name in ("site.css", "site.js"):
        text = (site / "assets" / name).read_text(encoding="utf-8")
        assert "http" not in text.replace("https", "http") or name == "site.js"
        assert "@import" not in text
        assert "url(" not in text


def test_every_page_has_landmarks_a_title_and_headings_in_order(site: Path) -> None:
    for path, page in pages(site).items():
        assert page.all("html") == [{"lang": "en"}]
        for landmark in ("header", "nav", "main", "title", "h1"):
            assert len(page.all(landmark)) == 1, (path, landmark)
        assert page.all("nav")[0]["aria-label"]
        main = [tag for tag, _ in page.tags[page.tags.index(("main", page.all("main")[0])) :]]
        levels = [int(tag[1]) for tag in main if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels)), path
        assert len(page.ids) == len(set(page.ids)), path
        labelled = {attrs["for"] for attrs in page.all("label")}
        assert {attrs["id"] for attrs in page.all("input")} <= labelled
        assert all(attrs.get("scope") for attrs in page.all("th"))


def test_the_first_link_skips_to_the_content(site: Path) -> None:
    for page in pages(site).values():
        assert page.all("a")[0]["href"] == "#content"
        assert page.all("main")[0]["id"] == "content"


def test_what_scrolls_can_be_reached_by_the_keyboard(site: Path) -> None:
    for page in pages(site).values():
        scrolls = [attrs for _, attrs in page.tags if attrs.get("class") == "scroll"]
        assert all(each["tabindex"] == "0" and each["aria-label"] for each in scrolls)


INKS = [
    (ink, paper)
    for paper in ("paper", "raised", "code")
    for ink in ("ink", "soft", "link", "accent")
]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"), [*INKS, ("must", "must-paper"), ("gone", "gone-paper"), ("ink", "tag")]
)
def test_text_stands_out_from_its_ground(ink: str, paper: str, theme: str, site: Path) -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5."""
    text = (site / "assets" / "site.css").read_text(encoding="utf-8")
    block = text.split(":root {")[1 if theme == "light" else 0]
    if theme == "dark":
        block = text.split(':root[data-theme="dark"] {')[1]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", block.partition("}")[0]))
    one, other = luminance(colors[ink]), luminance(colors[paper])
    assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 4.5


def luminance(color: str) -> float:
    digits = color.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_both_ways_to_the_dark_have_the_same_colours(site: Path) -> None:
    text = (site / "assets" / "site.css").read_text(encoding="utf-8")
    by_system = text.split(':root:not([data-theme="light"]) {')[1].partition("}")[0]
    by_switch = text.split(':root[data-theme="dark"] {')[1].partition("}")[0]
    assert by_system.split() == by_switch.split()


def test_markup_in_contracts_is_shown_and_never_live(tmp_path: Path) -> None:
    out = tmp_path / "out"
    published(shop(tmp_path / "protos", HOSTILE), out, title=EVIL)
    for page in pages(out).values():
        assert len(page.all("script")) == 1
        assert not page.all("img")
        assert not page.all("b")
        assert not page.all("i")
        assert not any("javascript" in attrs["href"] for attrs in page.all("a"))
    shown = Page((out / "services" / "shop.v1.Shop.html").read_text(encoding="utf-8")).text
    assert EVIL in shown
    assert "{{ 7*7 }}" in shown
    assert "</script>" not in (out / "assets" / "site.js").read_text(encoding="utf-8")


def test_markup_in_contracts_is_text_in_markdown_too(tmp_path: Path) -> None:
    out = tmp_path / "out"
    published(shop(tmp_path / "protos", HOSTILE), out, Form.MARKDOWN, title=EVIL)
    for path in out.glob("*.md"):
        prose = re.sub(r"^(`{3,})\w*\n.*?\n\1$", "", path.read_text(), flags=re.DOTALL | re.M)
        prose = re.sub(r"`[^`\n]+`", "", prose)
        assert not re.search(r"<(?!/?code>)", prose)
        assert not re.search(r"(?<!\\)\]\(javascript", prose)
        rows = [line for line in prose.splitlines() if line.startswith("| ")]
        assert all(len(re.findall(r"(?<!\\)\|", row)) in (3, 4, 6, 7) for row in rows)


@pytest.mark.parametrize("form", list(Form))
def test_a_workload_that_mesh_yaml_does_not_name_is_said_to_be_made_up(
    tmp_path: Path, form: Form
) -> None:
    mesh = tmp_path / "mesh.yaml"
    told = list[bool]()
    for number, services in enumerate(
        ("stock: {factory: 'a:b', serves: [shop.v1.Shop]}", "other: {factory: 'a:b'}")
    ):
        mesh.write_text(f"trust_domain: shop.example\nservices:\n  {services}\n")
        out = tmp_path / str(number)
        published(shop(tmp_path / "protos", HOSTILE), out, form, mesh=mesh)
        text = "".join(
            path.read_text(encoding="utf-8")
            for path in out.rglob("*")
            if path.suffix in (".html", ".md") or path.name == "openapi.json"
        )
        told.append("are made up" in text and "mesh.yaml names no service" in text)
    assert told == [False, True]
