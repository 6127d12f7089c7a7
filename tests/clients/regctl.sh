# shellcheck shell=bash disable=SC2034
NEEDS=(regctl)
HOWTO='go install github.com/regclient/regclient/cmd/regctl@latest'
STORIES=(
  'log in|30|login'
  'push|60|push'
  'pull and compare|60|pull'
  'copy between repositories|60|copy'
  'multi-arch push and pull|60|multi'
  'blob put and get|30|blob'
  'artifact attached and listed|60|artifact'
  'copy with its referrers|60|referrers'
  'list tags|30|list'
  'delete tag, then digest|30|delete'
)
version() { regctl version --format '{{.VCSTag}}' | grep . || regctl version | awk '/VCSTag/ { print $2 }'; }
login() { r registry login --user "$CLIENTS_USER" --pass-stdin --skip-check "$REG" <<< "$CLIENTS_PASS"; r registry whoami "$REG"; }
log_in() { r registry login --user "$1" --pass-stdin "$REG" <<< "$2"; }
log_out() { r registry logout "$REG"; }
pack() { :; }
ship() { r image copy "ocidir://$LAYOUT:image" "$REG/$1:v1"; }
get() { rm -rf got; r image copy "$REG/$1:v1" ocidir://got:v1; }
got() { layout_digest got; }
r() { regctl --host "reg=$REG,tls=disabled" "$@"; }
push() { r image copy "ocidir://$WORK/images/image:image" "$REG/$NS/app:v1"; same digest "$(layout_digest "$WORK/images/image")" "$(remote_digest "$NS/app" v1)"; }
pull() { r image copy "$REG/$NS/app:v1" ocidir://back:v1; same digest "$(layout_digest "$WORK/images/image")" "$(layout_digest back)"; }
copy() { r image copy "$REG/$NS/app:v1" "$REG/$NS/copy:v1"; same digest "$(remote_digest "$NS/app" v1)" "$(remote_digest "$NS/copy" v1)"; }
multi() {
  r image copy "ocidir://$WORK/images/multi:multi" "$REG/$NS/multi:v1"
  same digest "$(layout_digest "$WORK/images/multi")" "$(remote_digest "$NS/multi" v1)"
  r image copy "$REG/$NS/multi:v1" ocidir://back-multi:v1
  same 'digest back' "$(layout_digest "$WORK/images/multi")" "$(layout_digest back-multi)"
  r image digest --platform linux/arm64 "$REG/$NS/multi:v1"
}
blob() {
  local digest
  head -c 100000 /dev/urandom > some
  digest=$(r blob put "$REG/$NS/app" < some)
  r blob get "$REG/$NS/app" "$digest" | cmp - some
}
artifact() {
  echo '{"a":"bill of materials"}' > sbom.json
  r artifact put --artifact-type application/vnd.test.sbom --subject "$REG/$NS/app:v1" -f sbom.json -m application/json
  contains list "$(r artifact list "$REG/$NS/app:v1" --format '{{jsonPretty .}}')" application/vnd.test.sbom
  same 'file back' "$(cat sbom.json)" "$(r artifact get --subject "$REG/$NS/app:v1" --filter-artifact-type application/vnd.test.sbom)"
  [ "$(status "http://$REG/v2/$NS/app/referrers/$(remote_digest "$NS/app" v1)")" = 200 ] || note 'by the fallback tag: no referrers API'
}
referrers() {
  r image copy --referrers "$REG/$NS/app:v1" "$REG/$NS/with:v1"
  contains list "$(r artifact list "$REG/$NS/with:v1" --format '{{jsonPretty .}}')" application/vnd.test.sbom
}
list() { contains tags "$(r tag ls "$REG/$NS/app")" v1; contains catalog "$(r repo ls "$REG")" "$NS/app"; }
delete() {
  local digest
  digest=$(r image digest "$REG/$NS/copy:v1")
  # regctl falls back to a dummy manifest if tags cannot be deleted, so check that the image still exists
  r tag delete "$REG/$NS/copy:v1"
  gone "$NS/copy" v1
  same 'still there by digest' "$digest" "$(remote_digest "$NS/copy" "$digest")"
  r manifest delete "$REG/$NS/copy@$digest"
  gone "$NS/copy" "$digest"
}
