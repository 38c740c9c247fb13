"""What cameras show now: from MQTT to open pages, past the database."""
