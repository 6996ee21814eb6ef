"""What people ask `tocsin-exporter` at a terminal about product usage."""
