"""Checks resources of operators against their types, which also refuse fields that do not exist.

    deploy/helm/custom-resources.py NODE_MODULES FILE...

The types are those of the packages @kubernetes-models/* (npm), made of the operators' own; `tsc` (typescript, npm)
checks each document as a literal. Resources of Kubernetes itself are left out: kubernetes-validate knows them. Exit 1 if
one is wrong, or of an operator that no package knows.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import yaml

modules = pathlib.Path(sys.argv[1]).resolve()
lines, places, unknown = [], [], []
for file in sys.argv[2:]:
    for document in yaml.safe_load_all(pathlib.Path(file).read_text()):
        if not document or "kind" not in document:
            continue
        version, kind = document["apiVersion"], document["kind"]
        # Those of Kubernetes have no name with a dot, or one of its own.
        group = version.partition("/")[0] if "/" in version else ""
        if "." not in group or group.endswith(".k8s.io") and group != "gateway.networking.k8s.io":
            continue
        # kustomize reads its file itself.
        if group == "kustomize.config.k8s.io":
            continue
        known = sorted(modules.glob(f"@kubernetes-models/*/{version}/{kind}.d.ts"))
        if not known:
            unknown.append(f"{file}: no package knows {version} {kind}")
            continue
        path = known[0].relative_to(modules).with_suffix("").with_suffix("")
        number = len(places)
        places.append(f"{file}: {kind} {document['metadata']['name']}")
        # One line each, so that a line of an error is a document.
        lines.append(
            f'import type {{ I{kind} as T{number} }} from "{path}"; '
            f"export const d{number}: T{number} = {json.dumps(document)};"
        )

with tempfile.TemporaryDirectory() as directory:
    work = pathlib.Path(directory)
    (work / "node_modules").symlink_to(modules)
    (work / "check.ts").write_text("\n".join(lines) + "\n")
    options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext"]
    compiler = modules / ".bin/tsc"
    found = subprocess.run([compiler, *options, "check.ts"], cwd=work, capture_output=True, text=True)
wrong = list(unknown)
for line in found.stdout.splitlines():
    number = line.partition("check.ts(")[2].partition(",")[0]
    wrong.append(f"{places[int(number) - 1]}: {line.partition('error ')[2]}" if number.isdigit() else line)
if found.returncode and not found.stdout:
    wrong.append(found.stderr)
print("\n".join(wrong) or f"{len(places)} resources of operators")
sys.exit(1 if wrong else 0)
