"""`python -m meshpact.cli`."""

from __future__ import annotations

import sys

from meshpact.cli import main

if __name__ == "__main__":
    sys.exit(main())
