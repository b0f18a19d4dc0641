"""Databases of services: SQLite by default, Postgres by URL. Needs the extra `storage`."""

try:
    import sqlalchemy as _sqlalchemy
except ImportError as error:
    raise ImportError(
        "meshpact.servers.storage needs SQLAlchemy: install the extra with "
        "pip install 'meshpact[storage]', and 'meshpact[storage,postgres]' for Postgres"
    ) from error

del _sqlalchemy
