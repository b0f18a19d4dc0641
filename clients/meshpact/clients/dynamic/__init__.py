"""Calls without generated code: by a method's name, with JSON in and JSON out."""
