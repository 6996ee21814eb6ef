"""An imagined company's past, as series for a real Prometheus: what the dashboards show in `docs/` and are tested on.

Its day is quiet at night and full at noon; it is noon now. An hour and a quarter ago a deploy broke checkouts, a mail
vendor has not been paid for fifty minutes, one customer fell silent, and a Slack channel was away for a while.
"""
