"""The web page: uploads, a record of everything seen, review, and the administrator's view."""
