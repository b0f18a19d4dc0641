"""A gift shop: inventory, store, orders and shipping, run on its real order book of a month."""
