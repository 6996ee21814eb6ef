import yaml
from exporter.rulegen import calendar, slos, document
from exporter.rulegen.settings import *
f=Signals.model_validate(yaml.safe_load('''
timezone: Europe/Lisbon
holidays: [2026-12-25, {from: 2026-12-31, to: 2027-01-01}]
maintenance: [{from: 2026-11-21T22:00:00+01:00, to: 2026-11-22T22:00:00Z}]
slos:
- {name: api, objective: 99.9, availability: {errors: 'http_requests_total{code=~"5.."}', total: http_requests_total}, hours: {from: "08:00", to: "20:00"}}
- {name: slow, objective: 95, latency: {histogram: http_request_duration_seconds, at_most: 0.3}}
- {name: fresh, objective: 99, freshness: {timestamp: export_last_success_timestamp_seconds, max_age: 10m}}
- {name: pay, objective: 99, third_party: {provider: stripe}}
'''))
g=[calendar.group("t",f.timezone,f.holidays)]+[x for s in f.slos for x in slos.groups(s,f,"t")]
t=document.sealed(document.rules_file(g),"signals.yml")
assert document.is_untouched(t) and not document.is_untouched(t+" ")
open('/tmp/w/t.rules.yml','w').write(t); yaml.safe_load(t)
