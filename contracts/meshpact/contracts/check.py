"""The rules a contract keeps before anything is generated from it; all faults are told at once."""

from __future__ import annotations

from collections.abc import Iterator

from meshpact.contracts import check_errors, check_names, check_policy
from meshpact.contracts.faults import ContractsError, Fault
from meshpact.contracts.model import Contracts


def check(contracts: Contracts) -> None:
    """Raise ContractsError with every fault of the user's own contracts, if there is one."""
    faults = list(find(contracts))
    if faults:
        raise ContractsError(faults)


def find(contracts: Contracts) -> Iterator[Fault]:
    """Every fault of the user's own contracts, in no particular order."""
    for file in contracts.files:
        yield from check_policy.find(contracts, file)
        yield from check_errors.find(contracts, file)
        yield from check_names.find(contracts, file)
    yield from check_names.cycles(contracts)
