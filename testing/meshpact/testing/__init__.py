"""Meshpact: testing."""
