"""Pages about contracts: what can be called, who may, what comes back, and how to try it."""

from __future__ import annotations

from meshpact.contracts.docs.coverage import Coverage as Coverage
from meshpact.contracts.docs.publish import Form as Form
from meshpact.contracts.docs.publish import Published as Published
from meshpact.contracts.docs.publish import coverage as coverage
from meshpact.contracts.docs.publish import publish as publish
