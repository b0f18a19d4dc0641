"""The shop window: the catalog, and the service that shows it."""
