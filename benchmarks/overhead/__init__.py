"""What the guard costs: bare grpcio and ours side by side in one server process.

`python -m bench` prints the whole table; the claims `overhead-*` measure one row each.
"""

import sys
from pathlib import Path

_GENERATED = str(Path(__file__).parents[1] / "contract" / "generated")
if _GENERATED not in sys.path:
    sys.path.insert(0, _GENERATED)
