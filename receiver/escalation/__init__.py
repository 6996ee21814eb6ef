"""Who is called, one after another, until somebody acknowledges."""
