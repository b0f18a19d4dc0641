"""Recommendations: what profiles watched, and what they may like next."""
