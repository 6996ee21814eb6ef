"""Third-party health: probe -> verdict -> history -> series."""
