"""The driver: the shop's customers of November 2011, and some callers who are up to no good."""

from __future__ import annotations

from reference.retail.driver.run import full_speed, patient, run

__all__ = ["full_speed", "patient", "run"]
