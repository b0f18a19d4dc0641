"""Meshpact: interceptors."""
