"""review.yaml: how strict buf is, and the approvals on file."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import yaml

from meshpact.contracts.faults import WrongUse
from meshpact.contracts.review.model import Change, Waiver
from meshpact.contracts.review.wire import CATEGORIES
from meshpact.mesh.reader import closest

DEFAULT: Final = Path("review.yaml")
_KEYS: Final = ("wire", "waivers")
_WAIVER: Final = ("id", "reason", "owner", "expires")
_ID: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Settings:
    """`wire` is a category of buf breaking."""

    wire: str = CATEGORIES[0]
    waivers: tuple[Waiver, ...] = ()


def load(path: Path) -> Settings:
    """Reads a review.yaml. WrongUse says what is wrong with it."""
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise WrongUse(f"{path} is no YAML: {first}") from None
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise WrongUse(f"{path} must have the keys {', '.join(_KEYS)}")
    settings = cast("dict[object, object]", content)
    for key in settings:
        if key not in _KEYS:
            remedy = closest(str(key), _KEYS, f"There are: {', '.join(_KEYS)}")
            raise WrongUse(f"{path} has a key {key!r} that is not known. {remedy}")
    wire = settings.get("wire", CATEGORIES[0])
    if wire not in CATEGORIES:
        raise WrongUse(f"{path}: wire is {wire!r}; allowed: {', '.join(CATEGORIES)}")
    listed = _list(path, settings.get("waivers"))
    waivers = tuple(
        _waiver(f"{path}: waivers[{index}]", entry) for index, entry in enumerate(listed)
    )
    for index, waiver in enumerate(waivers):
        if any(each.id == waiver.id for each in waivers[:index]):
            raise WrongUse(f"{path}: waivers[{index}]: {waiver.id} is waived twice")
    return Settings(str(wire), waivers)


def _list(path: Path, entries: object) -> list[object]:
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise WrongUse(f"{path}: waivers must be a list")
    return cast("list[object]", entries)


def _waiver(place: str, entry: object) -> Waiver:
    if not isinstance(entry, dict):
        raise WrongUse(f"{place} must have the keys {', '.join(_WAIVER)}")
    given = cast("dict[object, object]", entry)
    if unknown := [str(key) for key in given if key not in _WAIVER]:
        raise WrongUse(f"{place} has {', '.join(unknown)}; allowed: {', '.join(_WAIVER)}")
    values = {key: str(given.get(key) or "").strip() for key in _WAIVER}
    if missing := [key for key, value in values.items() if not value]:
        raise WrongUse(f"{place} lacks {', '.join(missing)}: every approval has all four")
    if not _ID.fullmatch(values["id"]):
        raise WrongUse(
            f"{place}: id is {values['id']!r}; it is what a review prints for a finding, 16 "
            "hexadecimal digits (in quotes)"
        )
    try:
        datetime.date.fromisoformat(values["expires"])
    except ValueError:
        raise WrongUse(f"{place}: expires is {values['expires']!r}; write 2030-12-31") from None
    return Waiver(**values)


def apply(
    changes: Sequence[Change], waivers: Sequence[Waiver], today: str
) -> tuple[list[Change], list[str]]:
    """The findings with their waivers, and a sentence about each waiver that is out of date."""
    found = {change.id for change in changes}
    stale = [
        f"the waiver {each.id} of {each.owner} fits no finding: delete it"
        for each in waivers
        if each.id not in found
    ]
    stale += [
        f"the waiver {each.id} of {each.owner} expired on {each.expires}: decide anew"
        for each in waivers
        if each.id in found and each.expires < today
    ]
    valid = {each.id: each for each in waivers if each.expires >= today}
    return [replace(change, waiver=valid.get(change.id)) for change in changes], stale
