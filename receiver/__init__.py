"""What is told, to whom: Alertmanager webhook -> incident -> enriched message -> delivery."""
