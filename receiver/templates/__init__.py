"""Messages in the operator's own words."""
