"""What stands around every page: the ways to others, the theme, and what makes it an app."""
