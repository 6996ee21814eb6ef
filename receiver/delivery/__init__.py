"""What becomes of a message: whose turn it is, who sends it, how fast, how often, and who stands in."""
