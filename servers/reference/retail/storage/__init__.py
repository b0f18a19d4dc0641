"""Databases of the services: SQLite by default, Postgres by URL, migrated at start."""
