"""The services of the reference organization, built with Meshpact as its users would."""
