"""What is measured: third-party APIs and product usage, as Prometheus metrics."""
