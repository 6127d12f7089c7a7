# shellcheck shell=bash disable=SC2034
NEEDS=(helm)
HOWTO='go install helm.sh/helm/v4/cmd/helm@latest'
STORIES=(
  'log in|30|login'
  'package and push a chart|60|push'
  'pull and compare|60|pull'
  'newest version by range|60|range'
  'show and template from here|60|template'
)
version() { helm version --template '{{.Version}}' | grep . || helm version --short; }
log_in() { helm registry login --plain-http -u "$1" --password-stdin "$REG" <<< "$2"; }
log_out() { helm registry logout "$REG"; }
# REPO is the parent of the chart, as helm expects it
pack() {
  mkdir -p small
  printf 'apiVersion: v2\nname: v1\nversion: 1.0.0\ndescription: %s\n' "$RANDOM$RANDOM" > small/Chart.yaml
  head -c "${BYTES:-1000}" /dev/urandom > small/data.bin
  helm package small
}
ship() { helm push --plain-http v1-1.0.0.tgz "oci://$REG/$1"; }
get() { rm -f got; helm pull --plain-http "oci://$REG/$1/v1" --version 1.0.0 2>&1 | tee got; }
got() { sed -n 's/^Digest: //p' got; }
stored_as() { echo "$1/v1" 1.0.0; }
sow() (
  export HELM_REGISTRY_CONFIG=$BOX/sower.json
  log_in keeper "$(password keeper)"
  put "$1"
)
push() {
  local v
  mkdir -p chart/templates
  printf 'kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  unique: "%s"\n' "$NS" > chart/templates/map.yaml
  for v in 0.1.0 0.2.0+build.7; do
    printf 'apiVersion: v2\nname: thing\nversion: %s\ndescription: a chart\n' "$v" > chart/Chart.yaml
    helm package chart
    helm push --plain-http "thing-$v.tgz" "oci://$REG/$NS/charts"
  done
}
pull() {
  mkdir -p back
  helm pull --plain-http "oci://$REG/$NS/charts/thing" --version 0.1.0 -d back
  cmp thing-0.1.0.tgz back/thing-0.1.0.tgz
  # a tag cannot contain a plus, so helm stores it as an underscore
  helm pull --plain-http "oci://$REG/$NS/charts/thing" --version 0.2.0+build.7 -d back
  cmp thing-0.2.0+build.7.tgz back/thing-0.2.0+build.7.tgz
}
range() { contains version "$(helm show chart --plain-http "oci://$REG/$NS/charts/thing" --version '>=0.1.0')" 0.2.0; }
template() { contains rendered "$(helm template --plain-http release "oci://$REG/$NS/charts/thing" --version 0.1.0)" "$NS"; }
