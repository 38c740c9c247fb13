"""Which models cameras run: found or fetched, tried, loaded, and given up if they kill."""
