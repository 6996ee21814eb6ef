"""Where events come from when nobody posts them: each source reads, and delivers to an `Intake`."""
