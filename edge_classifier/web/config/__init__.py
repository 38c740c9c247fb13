"""The settings of the page and the recorder; the folders and the names of hosts they lead to."""
