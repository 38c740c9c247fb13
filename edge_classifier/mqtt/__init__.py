"""MQTT: topics, messages, the outbox on disk, the connection to the broker."""
