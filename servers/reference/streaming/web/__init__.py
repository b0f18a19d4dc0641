"""The page of the streaming service: search, titles, playing, profiles, for a browser."""
