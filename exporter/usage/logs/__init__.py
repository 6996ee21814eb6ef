"""Log lines -> events: patterns name the event, their named groups its fields."""
