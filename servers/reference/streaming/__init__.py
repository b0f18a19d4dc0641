"""The streaming service: its catalog, its recommendations, its page."""
