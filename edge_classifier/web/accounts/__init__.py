"""Who may come in: accounts, roles, tokens, the first administrator, limits."""
