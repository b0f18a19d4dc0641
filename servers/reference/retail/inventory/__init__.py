"""The warehouse: its ledger, and the service that keeps it."""
