"""The catalog: titles, search in them, and who is old enough for which."""
