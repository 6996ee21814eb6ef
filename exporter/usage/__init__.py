"""Product usage: bytes -> events -> matched rules -> durable counts."""
