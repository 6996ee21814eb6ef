"""Dashboards written in Python: `python -m tests.support.boards` writes them to grafana/dashboards/ as Grafana reads them.

A panel is one call, a dashboard one file; what all share (data source, annotations, links, options) stands once.
"""
