"""The web server's connections and threads: what each client may have of them, and how long."""
