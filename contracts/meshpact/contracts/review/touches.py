"""Whom a change touches: callers that gain or lose methods, deadlines that no longer fit, and who
really called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from meshpact.contracts.access.diff import Change as AccessChange
from meshpact.contracts.access.diff import difference
from meshpact.contracts.access.matrix import ANY_USER, Cell, Grant
from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.access.trail import Traffic
from meshpact.contracts.review.model import Change, Impact, Touch
from meshpact.contracts.serving import Serving, contracts_of
from meshpact.interceptors.policy import AuditLevel, MethodPolicy
from meshpact.mesh import names

NAMED = 5
"""Callers that are named in one sentence; of more, their number."""


@dataclass
class Touches:
    """What is known of callers. Methods bear their new names, if they have any."""

    changes: dict[str, list[AccessChange]] = field(default_factory=lambda: defaultdict(list))
    """Callers that gain or lose a method, by method."""

    def of(self, method: str) -> list[Touch]:
        """Who gains or loses a method."""
        return [told(each) for each in self.changes.get(method, ())]


def access_touches(
    old: AccessMesh, new: AccessMesh, became: Mapping[str, str], suspects: set[str] | None
) -> Touches:
    """Who gains and who loses which method; None: look at all methods, else at `suspects` only.

    `became` maps old names to new ones.
    """
    before = [
        each for name, each in old.methods.items() if _looked(became.get(name, name), suspects)
    ]
    after = [each for name, each in new.methods.items() if _looked(name, suspects)]
    moved = {two: one for one, two in became.items() if one != two}
    found = difference(
        replace(old, methods={each.name: each for each in before}),
        replace(new, methods={each.name: each for each in after}),
        {two: one for two, one in moved.items() if _looked(two, suspects)},
    )
    touches = Touches()
    for change in found.changes:
        touches.changes[change.method] += _sides(change)
    return touches


def _looked(name: str, suspects: set[str] | None) -> bool:
    return suspects is None or name in suspects


def _sides(change: AccessChange) -> list[AccessChange]:
    """A caller who may do as much as before, but with others behind it, gains by whoever came and
    loses by whoever went."""
    if change.kind != "changes":
        return [change]
    before, after = set(change.before.partners), set(change.after.partners)
    gains = after - before if ANY_USER not in before else set[str]()
    loses = before - after if ANY_USER not in after else set[str]()
    kinds = [kind for kind, who in (("gains", gains), ("loses", loses)) if who]
    return [replace(change, kind=kind) for kind in kinds] or [change]


def told(change: AccessChange) -> Touch:
    """A caller that gains or loses a method, in words."""
    text = (
        f"{change.caller.name} {change.kind} it ({_cell(change.before)} -> {_cell(change.after)})"
    )
    return Touch(change.kind, change.caller.name, change.method, text)


def _cell(cell: Cell) -> str:
    words = {
        Grant.NO: "refused",
        Grant.OBSERVED: "refused, but only observed",
        Grant.YES: "let in",
    }
    return words.get(cell.grant) or f"let in with {', '.join(cell.partners)}"


class Callers:
    """The workloads that mesh.yaml says call a method, and how long their own methods may take."""

    def __init__(self, mesh: AccessMesh) -> None:
        self._mesh = mesh
        self._serving = Serving(mesh.config, contracts_of(mesh.methods))
        self.guessed: set[str] = set()
        """Services of which it was guessed what they serve, and told."""
        self._exact: dict[str, list[str]] = defaultdict(list)
        for name, service in mesh.config.services.items():
            for called in service.calls:
                self._exact[called].append(name)
        self._methods: dict[str, list[tuple[str, MethodPolicy]]] = defaultdict(list)
        for name, method in mesh.methods.items():
            self._methods[method.service].append((name, method.policy))

    def of(self, method: str) -> list[str]:
        """The services of mesh.yaml that call a method."""
        whole = method.rpartition("/")[0] + names.ANY
        return list(dict.fromkeys([*self._exact.get(method, ()), *self._exact.get(whole, ())]))

    def unfit(
        self, method: str, part: str, old: MethodPolicy, new: MethodPolicy
    ) -> Iterator[Touch]:
        """Callers whose own deadlines do not go together any more with those of what they call: a
        method of theirs has longer than what it calls may take now, or must end before."""
        for caller in self.of(method):
            for contract in self._serving.by(caller):
                for name, policy in self._methods[contract]:
                    for touch in _unfit(caller, name, policy, method, part, old, new):
                        if caller in self._serving.guessed:
                            self.guessed.add(caller)
                        yield touch


def _unfit(
    caller: str,
    name: str,
    own: MethodPolicy,
    method: str,
    part: str,
    old: MethodPolicy,
    new: MethodPolicy,
) -> Iterator[Touch]:
    given, most = own.default_deadline, own.max_deadline
    short = name.rpartition("/")[2]
    if part == "deadline.max":
        limit, before = new.max_deadline, old.max_deadline
        if limit is not None and limit < given and (before is None or given <= before):
            yield Touch("deadline", caller, method, f"{caller}: its {short} has {given:g} s")
    elif most is not None and old.default_deadline <= most < new.default_deadline:
        yield Touch("deadline", caller, method, f"{caller}: its {short} must end after {most:g} s")


class Usage:
    """Who really called what, by audit files of the last days."""

    def __init__(self, traffic: Traffic, days: int) -> None:
        self._days = days
        self._calls: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for use, count in traffic.uses.items():
            self._calls[use.method][use.workload] += count

    def of(self, method: str, mesh: AccessMesh, policy: MethodPolicy | None) -> Iterator[Touch]:
        """The callers of a method, those who called most first; `policy` is what it was."""
        calls = sorted(self._calls.get(method, {}).items(), key=lambda each: (-each[1], each[0]))
        when = f"in the last {self._days} days"
        for workload, count in calls:
            who = mesh.name_of(workload) or "somebody without identity"
            times = "once" if count == 1 else f"{count:,} times"
            yield Touch("calls", who, method, f"{who} called it {times} {when}", count)
        if not calls:
            unseen = policy is not None and policy.audit is not AuditLevel.ALL
            why = "; its contract did not ask for lines of allowed calls" if unseen else ""
            yield Touch("calls", "", method, f"no call stands in the audit trail {when}{why}")


def sentence(change: Change) -> str:
    """Whom a finding touches, in one line: callers that lose or gain, deadlines, calls."""
    touched = [each for each in change.touched if each.kind not in _OTHERS[change.delta.impact]]
    counts = {each.who: each for each in touched if each.kind == "calls" and each.who}
    parts: list[str] = []
    where = _methods(touched) if not change.subject else ""
    for kind, verb in _VERBS.items():
        if who := list(dict.fromkeys(each.who for each in touched if each.kind == kind)):
            parts.append(f"{verb}: {_some(who, counts)}")
    late: dict[str, list[str]] = defaultdict(list)
    for each in touched:
        if each.kind == "deadline":
            late[each.who].append(each.text)
    parts += [_few(texts) for texts in late.values()]
    declared = [each.who for each in touched if each.kind == "callers" and each.who not in late]
    nobody = any(each.kind in (*_VERBS, "nobody") for each in change.touched)
    if not parts and declared and (counts or not nobody):
        parts.append(f"called by {_some(list(dict.fromkeys(declared)), counts)}")
    elif not parts and counts:
        parts += [each.text for each in counts.values()][:NAMED]
    if not counts:
        parts += [each.text for each in touched if each.kind == "calls"]
    if not parts and nobody:
        parts.append(f"nobody in mesh.yaml {_NOBODY[change.delta.impact]} it")
    return "; ".join(dict.fromkeys([where, *parts] if where else parts))


def _methods(touched: Sequence[Touch]) -> str:
    """`in Stock/Get, Stock/Put and 2 more`: the methods that a finding of buf is about."""
    uses = [each for each in touched if each.kind == "uses"]
    named = [each.method for each in uses if each.method]
    rest = len(named[NAMED:]) + sum(each.count for each in uses if not each.method)
    shown = ", ".join(name[name.rpartition("/")[0].rfind(".") + 1 :] for name in named[:NAMED])
    return f"in {shown}{f' and {rest} more' if rest else ''}" if named else ""


_VERBS: Final = {"loses": "lose it", "gains": "gain it", "changes": "other conditions"}
_NOBODY: Final = {
    Impact.BREAKS: "loses",
    Impact.WIDENS: "gains",
    Impact.NOTE: "gains or loses",
}
_OTHERS: Final = {
    Impact.BREAKS: frozenset({"gains"}),
    Impact.WIDENS: frozenset({"loses"}),
    Impact.NOTE: frozenset[str](),
}


def _few(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{texts[0]} ({len(texts) - 1} more alike)"


def _some(who: Sequence[str], counts: Mapping[str, Touch]) -> str:
    shown = [
        f"{name} ({counts[name].count:,} calls)" if name in counts else name for name in who[:NAMED]
    ]
    more = f" and {len(who) - NAMED} more" if len(who) > NAMED else ""
    return ", ".join(shown) + more
