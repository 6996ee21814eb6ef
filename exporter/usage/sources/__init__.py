"""Where events come from besides HTTP, a source each."""
