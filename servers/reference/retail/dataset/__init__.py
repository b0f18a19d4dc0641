"""The shop's real order book of November 2011: read, put in order, and accounted for."""
