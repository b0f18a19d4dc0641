"""A run of `meshpact lint`: compile once, buf beside our own rules, waivers, edits, a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from meshpact.contracts import buf
from meshpact.contracts.faults import ContractsError, WrongUse
from meshpact.contracts.findings import Finding, Rule, Severity, in_order
from meshpact.contracts.garbage import no_collection
from meshpact.contracts.image import Image, compile_image
from meshpact.contracts.lint import waiverrules
from meshpact.contracts.lint.fixes import Fixed, fix
from meshpact.contracts.lint.mesh import LintMesh
from meshpact.contracts.lint.model import Context, LintRule
from meshpact.contracts.lint.rules import RULES
from meshpact.contracts.lint.waiving import faults_of, read_waivers, waived
from meshpact.contracts.lint.walk import Found, walk
from meshpact.contracts.model import Contracts
from meshpact.contracts.report import Report

ALL_RULES: Final = (*waiverrules.RULES, *RULES)
"""Meshpact's own rules, those about waivers among them, by ID."""

_BUF_WHY: Final = "one of buf's STANDARD rules: what tools and readers of contracts count on"
_UNUSED_IMPORT: Final = "IMPORT_USED"


@dataclass(frozen=True)
class Options:
    """What to lint. Without `roots` these are the folder `protos`, or `paths` that are folders
    outside of it; with `paths` only findings below them are told."""

    roots: Sequence[Path] = ()
    includes: Sequence[Path] = ()
    paths: Sequence[Path] = ()
    mesh: Path | None = None
    fix: bool = False


@dataclass(frozen=True)
class Linted:
    """What a run found, and what it mended before."""

    report: Report
    files: int
    """How many contracts were looked at, and were asked for."""
    fixed: tuple[Fixed, ...] = ()


def lint(options: Options) -> Linted:
    """Lint contracts. WrongUse when they cannot be compiled, MeshFileError for a bad mesh.yaml."""
    options = _with_roots(options)
    for path in options.paths:
        if not path.exists():
            raise WrongUse(f"{path} is not there: give a file or folder below your contracts")
    mesh = LintMesh(options.mesh) if options.mesh is not None else None
    image = _compiled(options)
    files = _asked_for(options, image)
    found = _below(options.paths, find(image, mesh))
    fixed = fix(found) if options.fix else ()
    if fixed:
        image = _compiled(options)
        found = _below(options.paths, find(image, mesh))
    findings = in_order(each.finding for each in found)
    return Linted(Report("lint", findings, _rules(findings)), files, fixed)


def find(image: Image, mesh: LintMesh | None = None) -> list[Found]:
    """Everything that is found in an image, waivers counted."""
    rules = [rule for rule in RULES if mesh is not None or not rule.needs_mesh]
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(_of_buf, image)
        waivers = read_waivers(image)
        with no_collection():
            own = list(walk(Context(Contracts(image), mesh), rules))
        of_buf = asked.result()
    left = list(waived([*own, *of_buf], waivers))
    known, ran = {rule.id for rule in ALL_RULES}, {rule.id for rule in rules}
    if any(waiver.rule not in known for entries in waivers.values() for waiver in entries):
        known.update(standard := buf.lint_rules())
        ran.update(standard)
    return [*left, *faults_of(waivers, known, ran)]


def _compiled(options: Options) -> Image:
    try:
        return compile_image(options.roots, options.includes)
    except ContractsError as error:
        raise WrongUse(str(error)) from None


def _of_buf(image: Image) -> list[Found]:
    return [
        Found(
            Finding(
                rule=fault.subject,
                severity=Severity.ERROR,
                file=fault.place.file,
                line=fault.place.line,
                column=fault.place.column,
                message=fault.message,
                why=_BUF_WHY,
                remedy="",
                subject="",
            ),
            delete=fault.place.line if fault.subject == _UNUSED_IMPORT else 0,
        )
        for fault in buf.lint(image)
    ]


def _with_roots(options: Options) -> Options:
    if options.roots:
        return options
    usual = Path("protos")
    inside = usual.is_dir() and all(
        path.resolve().is_relative_to(usual.resolve()) for path in options.paths
    )
    if not options.paths or inside or not all(path.is_dir() for path in options.paths):
        return replace(options, roots=(usual,))
    return replace(options, roots=tuple(options.paths), paths=())


def _below(paths: Sequence[Path], found: Iterable[Found]) -> list[Found]:
    if not paths:
        return list(found)
    wanted = [path.resolve() for path in paths]
    return [
        each
        for each in found
        if any(Path(each.finding.file).resolve().is_relative_to(path) for path in wanted)
    ]


def _asked_for(options: Options, image: Image) -> int:
    """How many contracts are below the paths. WrongUse for a path that none is below: who names a
    file must not hear that nothing was found in others."""
    if not options.paths:
        return len(image.own)
    sources = [source.resolve() for source in image.own.values() if source is not None]
    wanted = [path.resolve() for path in options.paths]
    for path, named in zip(wanted, options.paths, strict=True):
        if not any(source.is_relative_to(path) for source in sources):
            roots = ", ".join(str(root) for root in options.roots)
            raise WrongUse(
                f"{named} is none of the contracts below {roots}, and holds none: give its folder "
                "with --protos"
            )
    return sum(any(source.is_relative_to(path) for path in wanted) for source in sources)


def _rules(findings: Iterable[Finding]) -> dict[str, Rule]:
    own: dict[str, LintRule] = {rule.id: rule for rule in ALL_RULES}
    infos = {rule: each.info for rule, each in own.items()}
    for finding in findings:
        if finding.rule not in infos:
            infos[finding.rule] = Rule(finding.rule, "", f"buf: {finding.rule}")
    return infos
