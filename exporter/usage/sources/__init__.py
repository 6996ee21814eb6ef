"""Where events come from: HTTP, Kafka, files, databases. Each hands over to `exporter.usage.delivery.Intake`."""
