"""Backups of SQLite's database and its pictures, made while the page runs, and the way back."""
