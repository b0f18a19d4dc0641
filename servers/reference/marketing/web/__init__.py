"""The marketing dashboard: a page that shows what is sold as it happens, for analysts."""
