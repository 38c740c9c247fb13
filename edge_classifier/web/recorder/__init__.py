"""From MQTT into the database: each event once, acknowledged when it is on disk."""
