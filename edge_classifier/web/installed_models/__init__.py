"""The models of this page: files, facts, reports, the choice."""
