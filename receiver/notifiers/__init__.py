"""How a message is rendered and sent; the only place that knows Apprise."""
