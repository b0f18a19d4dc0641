"""`python -m meshpact.contracts.buflint [DIR ...]`: buf's STANDARD lint over the contracts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from meshpact.contracts.buf import lint
from meshpact.contracts.faults import ContractsError, WrongUse
from meshpact.contracts.image import compile_image


def main(arguments: Sequence[str]) -> int:
    """Print what buf finds. Exit code: 0 nothing, 1 something, 2 it could not look."""
    roots = [Path(argument) for argument in arguments] or [Path("protos")]
    try:
        findings = lint(compile_image(roots))
    except (ContractsError, WrongUse) as error:
        sys.stderr.write(f"buflint: {error}\n")
        return error.exit_code
    sys.stdout.writelines(f"{finding}\n" for finding in findings)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
