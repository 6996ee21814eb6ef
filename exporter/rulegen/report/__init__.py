"""A backtest as people read it: a table for the terminal, JSON, a page with charts."""
