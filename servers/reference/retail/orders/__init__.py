"""Orders: taken down, seen through the shop, and sometimes undone."""
