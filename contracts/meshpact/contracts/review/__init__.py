"""What a change of contracts does to callers: compatibility, access, limits, whom it touches."""
