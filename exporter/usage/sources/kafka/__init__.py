"""Kafka as a source: a consumer group whose offsets are committed with what was counted."""
