"""Draws a dashboard as a page of HTML and SVG from its file and a Prometheus's answers; no Grafana takes part.

It is not Grafana's look: it shows what the panels would say, calmly enough for a page of documentation.
"""
