"""`meshpact lint`: rules that contracts keep beyond what is needed to generate code from them."""

from __future__ import annotations

from meshpact.contracts.lint.run import Linted as Linted
from meshpact.contracts.lint.run import Options as Options
from meshpact.contracts.lint.run import lint as lint
