"""Writes messages, servers, clients and errors from contracts: all of them, or nothing.

The output depends on the contracts and on the installed protoc alone; a file is rewritten only when
it differs, and a generated file whose contract is gone is removed. Nothing heavy is loaded here
before it is known that there is something to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meshpact.contracts import names
from meshpact.contracts.leftovers import left_behind
from meshpact.contracts.manifest import Manifests, Request, Start

if TYPE_CHECKING:
    from meshpact.contracts.image import Image


_HEAD: Final = 1024
"""Bytes of a file in which a generator says that it wrote it."""


@dataclass(frozen=True)
class Result:
    """What changed, or (with `check_only`) would change: paths below the output folder, sorted."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    difference: str = ""
    """With `check_only`: a unified diff of bounded length."""

    @property
    def stale(self) -> tuple[str, ...]:
        """All paths that differ from what the contracts say."""
        return tuple(sorted((*self.written, *self.removed)))


def generate(
    roots: Sequence[Path],
    out: Path,
    *,
    includes: Sequence[Path] = (),
    check_only: bool = False,
    cache: Path | None = None,
    waiting: Callable[[], None] | None = None,
) -> Result:
    """Bring `out` up to date with the contracts below `roots`; with `check_only` only compare.

    `cache` is a folder, not committed and harmless to lose, where a run keeps what it read and
    wrote; a later run that proves by it that nothing has changed compiles nothing. `waiting` is
    called where another run writes to `out`: this one begins after it. Raises ContractsError (with
    every fault) or WrongUse before anything is written; WrongUse also for a file in the way that
    nobody generated, and for a disk that refuses.
    """
    request = Request(tuple(roots), out, tuple(includes))
    manifests = Manifests(cache) if cache is not None else None
    unchanged = manifests.unchanged(request) if manifests is not None else None
    if unchanged is not None:
        return Result((), (), unchanged)
    from meshpact.contracts.writing import alone

    with nullcontext() if check_only else alone(out, waiting):
        return _run(request, check_only=check_only, manifests=manifests)


def _run(request: Request, *, check_only: bool, manifests: Manifests | None = None) -> Result:
    from meshpact.contracts import messages, thirdparty
    from meshpact.contracts.image import compile_image
    from meshpact.contracts.staleness import difference
    from meshpact.contracts.writing import write

    start = Start.of(request)
    out = request.out
    path = (*request.roots, *request.includes, *thirdparty.include_paths())
    image = compile_image(request.roots, request.includes)
    content = render(image)
    content |= {name: there for name in content if (there := _marker(out / name)) is not None}
    written = [name for name, data in content.items() if _read(out / name) != data]
    removed = left_behind(out, content)
    stale = bool(written or removed)
    if manifests is not None and not (check_only and stale):
        manifests.remember(request, start, _sought(image, path), messages.PROGRAMS, content)
    if check_only:
        texts: dict[str, tuple[bytes | None, bytes | None]] = {
            str(out / name): (_read(out / name), content.get(name))
            for name in sorted((*written, *removed))
        }
        shown = difference(texts)
        return Result(tuple(written), tuple(removed), len(content) - len(written), shown)
    for name in written:
        _refuse_others(out / name)
    write(out, {name: content[name] for name in written}, removed)
    return Result(tuple(written), tuple(removed), len(content) - len(written))


def render(image: Image) -> dict[str, bytes]:
    """Every generated file of contracts: path -> content, sorted.

    Raises ContractsError with every fault, and WrongUse.
    """
    from concurrent.futures import ThreadPoolExecutor

    from meshpact.contracts import messages, thirdparty
    from meshpact.contracts.faults import WrongUse

    if not image.vocabulary_agrees:
        raise WrongUse(
            f"{thirdparty.POLICY} has changed since its Python was generated, and this process has "
            "loaded that: run meshpact generate, as a command"
        )
    with ThreadPoolExecutor(max_workers=1) as pool:
        others = pool.submit(messages.render, image)
        content = _modules(image)
        content |= others.result()
    typed = {Path(name).parent for name in content if name.endswith(".py")}
    content |= {(folder / "py.typed").as_posix(): b"" for folder in typed}
    return dict(sorted(content.items()))


def _modules(image: Image) -> dict[str, bytes]:
    """The `_mesh` modules. What is loaded here reads options: not before the vocabulary is set."""
    from meshpact.contracts import emit
    from meshpact.contracts.check import check
    from meshpact.contracts.model import Contracts

    contracts = Contracts(image)
    check(contracts)
    return {
        names.module_path(file.name, emit.SUFFIX): emit.emit(contracts, file).encode()
        for file in contracts.files
        if file.has_module
    }


def _sought(image: Image, path: Sequence[Path]) -> Iterator[Path]:
    """The files that were imported, and those that would have been had they been there."""
    own = {source for source in image.own.values() if source is not None}
    for file in image.files:
        for root in path:
            sought = root / file.name
            if sought in own:
                break
            yield sought
            if sought.is_file():
                break


def _marker(path: Path) -> bytes | None:
    """What a py.typed says that is there: somebody may have written that it is partial."""
    return _read(path) if path.name == "py.typed" else None


def _refuse_others(path: Path) -> None:
    """Raise WrongUse for a file that nobody generated: not we, not protoc, not another plugin."""
    from meshpact.contracts.faults import WrongUse

    there = (_read(path) or b"")[:_HEAD].lower()
    if there.strip() and b"generated" not in there:
        raise WrongUse(
            f"{path} is there and was not generated: move it away, or give another folder with "
            "--out"
        )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
