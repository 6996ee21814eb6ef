"""A simulated year: vendors that answer and fail by themselves, and what Tocsin would have told of it.

`generator` draws a year, `stories` tells short ones by hand; neither knows how answers are judged. `probing` asks the
exporter's own engine, `twin` does what `config/rules/thirdparty.yml` does, `telling` what Alertmanager does, and
`scoring` compares what was told with what was true. Times are seconds since the beginning of the year.
"""

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0
