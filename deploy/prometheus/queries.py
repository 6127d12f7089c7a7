"""Runs the queries of the rules and of the dashboard against a Prometheus that scrapes a registry.

    deploy/prometheus/queries.py http://127.0.0.1:9090 http://127.0.0.1:15000/metrics

Exit 1 if a query is refused, or asks for a metric that the registry does not have.
"""

import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request

prometheus, metrics = sys.argv[1:]
deploy = pathlib.Path(__file__).parent.parent
known = set(re.findall(r"^# TYPE (\w+)", urllib.request.urlopen(metrics).read().decode(), re.M))
# Those of mirrors exist from the first request to one on.
known |= set(re.findall(r"`(wharfinger_mirror_\w+?)(?:_total)?[`{]", (deploy.parent / "docs/operations.md").read_text()))

dashboard = json.loads((deploy / "grafana/wharfinger.json").read_text())
queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
answer = json.load(urllib.request.urlopen(f"{prometheus}/api/v1/rules"))
queries += [rule["query"] for group in answer["data"]["groups"] for rule in group["rules"]]

wrong = []
for query in queries:
    for name in re.findall(r"\bwharfinger_\w+", query):
        if name not in known and re.sub(r"_(bucket|sum|count|total)$", "", name) not in known:
            wrong.append(f"{name} does not exist: {query}")
    # What Grafana puts in.
    asked = query.replace("$__rate_interval", "1m").replace("$instance", ".*")
    url = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": asked})
    try:
        urllib.request.urlopen(url).read()
    except urllib.error.HTTPError as error:
        wrong.append(f"{asked}: {error.read().decode()}")
print("\n".join(wrong) or f"{len(queries)} queries")
sys.exit(1 if wrong or len(queries) < 20 else 0)
