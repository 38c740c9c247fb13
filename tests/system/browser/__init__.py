"""The page in a real browser, with a broker and daemons."""
