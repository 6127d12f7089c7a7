"""Lints the chart and prints the manifests that it makes of some values.

    deploy/helm/render.py VALUES

Exit 1 if the chart has a problem, or takes the values although its schema forbids them. Needs helm-python-sdk (PyPI),
which holds Helm itself.
"""

import pathlib
import sys

import helm_python as helm

chart = pathlib.Path(__file__).parent / "wharfinger"
values = helm.values_from_yaml(pathlib.Path(sys.argv[1]).read_text())
report = helm.lint(chart, values=values)
# Only a logo is recommended.
problems = [message for message in report.get("messages") or [] if message["severity"] > 1]
for problem in problems:
    print(problem["path"], problem["error"], file=sys.stderr)
with helm.Chart.load(chart) as loaded:
    loaded.validate_schema(values)
    rendered = loaded.render(values=values, name="registry", namespace="registry")
for path, manifest in sorted(rendered.items()):
    if path.endswith(".yaml") and manifest.strip():
        print(f"---\n# {path}\n{manifest.strip()}")
sys.exit(1 if problems else 0)
