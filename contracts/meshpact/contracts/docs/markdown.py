"""The pages as Markdown: one file a package, and a list of them. For wikis and repositories."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Final

from meshpact.contracts.docs import prose
from meshpact.contracts.docs.coverage import Coverage
from meshpact.contracts.docs.model import (
    Enum,
    Error,
    Field,
    Message,
    Method,
    Package,
    Service,
    Site,
    TypeRef,
    summary,
)

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+!|~^$-])")
_START: Final = re.compile(r"^(\s*)(\d+)([.)])")
_FENCE: Final = re.compile(r"`{3,}")


def pages(site: Site, coverage: Coverage, title: str) -> dict[str, bytes]:
    """Path -> content of all files."""
    found = {"README.md": list(_index(site, coverage, title))}
    for package in site.packages:
        found[f"{package.name or '_'}.md"] = list(_package(package))
    return {path: ("\n".join(_tight(lines)) + "\n").encode() for path, lines in found.items()}


def _tight(lines: Sequence[str]) -> Iterator[str]:
    """Lines without empty ones in a row, or at an end."""
    text = "\n".join(lines).strip("\n")
    fenced = blank = False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        if line or fenced or not blank:
            yield line
        blank = not line and not fenced


def _index(site: Site, coverage: Coverage, title: str) -> Iterator[str]:
    yield from (f"# {_text(title)}", "")
    for package in site.packages:
        yield from (f"## [{_text(package.title)}]({package.name or '_'}.md)", "")
        for source in package.sources:
            yield from (_line(summary(source.comment)), "")
        if package.services:
            yield from ("| method | what it does |", "|---|---|")
        for service in package.services:
            for method in service.methods:
                place = f"{package.name or '_'}.md#{_anchor(_heading(service, method))}"
                name = _text(f"{service.name}/{method.name}")
                yield f"| [{name}]({place}) | {_line(summary(method.comment))} |"
        yield ""
    yield f"{coverage.percent} % of {coverage.total} things have a comment."


def _package(package: Package) -> Iterator[str]:
    yield from (f"# {_text(package.title)}", "")
    for source in package.sources:
        yield from _prose(source.comment)
        yield from (f"From {_code(source.name)}.", "")
    for service in package.services:
        yield from (f"## {_text(service.name)}", "")
        yield from _prose(service.comment)
        for method in service.methods:
            yield from _method(service, method)
    if package.errors:
        yield from ("## Errors", "")
        yield from _errors(package.errors)
    if package.messages:
        yield from ("## Messages", "")
    for message in package.messages:
        yield from (f"### {_text(message.name)}{_gone(message.deprecated)}", "")
        yield from _message(message, package.name)
    if package.enums:
        yield from ("## Enums", "")
    for enum in package.enums:
        yield from _enum(enum)
    if package.options:
        yield from ("## Options", "")
        yield from _fields(package.options, package.name)


def _heading(service: Service, method: Method) -> str:
    return f"{service.name}/{method.name}"


def _method(service: Service, method: Method) -> Iterator[str]:
    yield from (f"### {_text(_heading(service, method))}{_gone(method.deprecated)}", "")
    yield from _prose(method.comment)
    yield from (f"{_code(method.full_name)}: {method.shape}.", "")
    yield from ("| policy | |", "|---|---|")
    for fact in method.facts:
        from_service = " (of the service)" if fact.inherited else ""
        yield f"| {_text(fact.label)} | {_line(fact.text)}{from_service} |"
    yield ""
    for kind, message in (("Request", method.request), ("Response", method.response)):
        yield from (f"#### {kind}: {_text(message.name)}", "")
        yield from _message(message, service.package)
    if method.errors:
        yield from ("#### Errors", "")
        yield from _errors(method.errors)
    if method.guard_errors:
        own = ", ".join(_code(reason) for reason, _ in method.guard_errors)
        yield from (f"Meshpact's own reasons: {own}.", "")
    yield from ("#### Call it", "")
    yield from _fenced("sh", method.grpcurl)
    yield from _fenced("python", method.python.rstrip("\n"))


def _message(message: Message, package: str) -> Iterator[str]:
    yield from _prose(message.comment)
    for rule in message.rules:
        yield f"- {_line(rule)}"
    yield ""
    if message.fields:
        yield from _fields(message.fields, package)
        yield from _fenced("json", message.example.json)
        if not message.example.valid:
            yield from ("No value was found that keeps to all rules: put your own in.", "")
    else:
        yield from ("It has no fields.", "")


def _fields(fields: Sequence[Field], package: str) -> Iterator[str]:
    yield from ("| field | JSON | type | what it is | rules |", "|---|---|---|---|---|")
    for field in fields:
        marks = ["required"] if field.required else []
        marks += ["optional"] if field.optional else []
        marks += [f"one of {_text(field.oneof)}"] if field.oneof else []
        marks += [_line(rule) for rule in field.rules]
        marks += ["redacted in logs"] if field.redacted else []
        marks += ["**deprecated**"] if field.deprecated else []
        marks += [f"absent means {_code(field.default)}"] if field.default else []
        yield (
            f"| {_code(field.name)} | {_code(field.json_name)} | {_type(field.type, package)} "
            f"| {_line(_flat(field.comment))} | {'; '.join(marks)} |"
        )
    yield ""


def _type(reference: TypeRef, package: str) -> str:
    if not reference.target:
        return _text(reference.text)
    page = "" if reference.package == package else f"{reference.package or '_'}.md"
    scope = f"{reference.package}." if reference.package else ""
    return f"[{_text(reference.text)}]({page}#{_anchor(reference.target.removeprefix(scope))})"


def _errors(errors: Sequence[Error]) -> Iterator[str]:
    yield from (
        "| reason | code | what it means | message | metadata | domain |",
        "|---|---|---|---|---|---|",
    )
    for error in errors:
        keys = ", ".join(_code(key) for key in error.metadata)
        yield (
            f"| {_code(error.reason)} | {_code(error.code)} | {_line(_flat(error.comment))} "
            f"| {_text(error.message)} | {keys} | {_code(error.domain)} |"
        )
    yield ""


def _enum(enum: Enum) -> Iterator[str]:
    yield from (f"### {_text(enum.name)}{_gone(enum.deprecated)}", "")
    yield from _prose(enum.comment)
    yield from ("| value | number | what it is |", "|---|---|---|")
    for value in enum.values:
        comment = _line(_flat(value.comment))
        yield f"| {_code(value.name)}{_gone(value.deprecated)} | {value.number} | {comment} |"
    yield ""


def _gone(deprecated: bool) -> str:
    return " (deprecated)" if deprecated else ""


def _prose(comment: str) -> Iterator[str]:
    for block in prose.blocks(comment):
        if block.kind == "code":
            yield from _fenced("", "\n".join(block.items))
        elif block.kind == "list":
            yield from (f"- {_line(item)}" for item in block.items)
            yield ""
        else:
            yield from (_START.sub(r"\1\2\\\3", _line(block.items[0])), "")


def _flat(comment: str) -> str:
    return " ".join(comment.split())


def _line(text: str) -> str:
    """Text of a contract on one line: code in backticks stays, all else means itself."""
    return "".join(_code(piece) if code else _text(piece) for code, piece in prose.pieces(text))


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", html.escape(" ".join(text.splitlines()), quote=False))


def _code(text: str) -> str:
    """A code span; a bar would end a cell of a table even there."""
    if not text:
        return ""
    if "`" in text or "|" in text or "\n" in text:
        escaped = html.escape(text, quote=False).replace("|", "&#124;").replace("\n", " ")
        return f"<code>{escaped}</code>"
    return f"`{text}`"


def _fenced(language: str, text: str) -> Iterator[str]:
    """A block of code, with more backticks than any in it."""
    longest = max((len(run) for run in _FENCE.findall(text)), default=2)
    fence = "`" * (longest + 1)
    yield from (f"{fence}{language}", text, fence, "")


def _anchor(heading: str) -> str:
    """The anchor that GitHub and GitLab make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
