"""What an HTTP answer, or its absence, tells of a send. Pure."""

import requests

Outcome = requests.Response | requests.RequestException
_LONGEST_RETRY_AFTER_SECONDS = 3600.0


def may_have_arrived(outcome: Outcome) -> bool:
    """Whether the request was under way when it failed. Not when there was no connection to send it on."""
    if isinstance(outcome, requests.Response):
        return outcome.status_code == 504  # a gateway gave up on a sink that may still have taken it
    if isinstance(outcome, requests.ConnectTimeout):
        return False
    if isinstance(outcome, requests.ConnectionError):
        return "Connection aborted" in str(outcome) or "Read timed out" in str(outcome)
    return isinstance(outcome, requests.Timeout | requests.exceptions.ChunkedEncodingError)


def retry_after(response: requests.Response) -> float | None:
    """Seconds, where the sink named them; a date is rare enough to be left to our own pause."""
    value = response.headers.get("Retry-After", "")
    return min(float(value), _LONGEST_RETRY_AFTER_SECONDS) if value.isascii() and value.isdecimal() else None
