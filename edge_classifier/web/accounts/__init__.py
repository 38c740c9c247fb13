"""Accounts: roles, logins, tokens of programs, the first administrator, limits."""
