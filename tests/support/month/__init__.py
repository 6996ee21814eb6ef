"""A month of alerts of a company with three teams, and what its people are told of it."""
