"""Detectors of anomalies on the labelled series of the Numenta Anomaly Benchmark, their rules evaluated by Prometheus."""
