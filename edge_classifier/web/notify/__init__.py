"""Tells people of what cameras see, by rules: messages by ntfy, mail, webhooks and others."""
