"""The sales database: totals by country, product and hour, kept up as orders happen."""
