"""What leaves over MQTT: topics, payloads, the durable outbox, the connection."""
