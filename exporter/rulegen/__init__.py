"""Prometheus rules from a short YAML: what is normal for a metric, and how much of an error budget is left.

Read `build` first; it writes the order of the steps once. Everything but the files it reads and writes is pure.
"""
