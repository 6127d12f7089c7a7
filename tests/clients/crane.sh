# shellcheck shell=bash disable=SC2034
NEEDS=(crane)
HOWTO='go install github.com/google/go-containerregistry/cmd/crane@latest'
STORIES=(
  'log in|30|login'
  'push|60|push'
  'pull and compare|60|pull'
  'every byte checked (validate)|60|validate'
  'copy between repositories|60|copy'
  'retag|30|retag'
  'append a layer|60|append'
  'multi-arch push and pull|60|multi'
  'list tags and catalog|30|list'
  'delete by digest|30|delete_digest'
  'delete a tag|30|delete_tag'
)
version() { crane version; }
log_in() { crane auth login --insecure -u "$1" --password-stdin "$REG" <<< "$2"; }
log_out() { crane auth logout "$REG"; }
LOGIN_ASKS=no
pack() { :; }
ship() { c push "$LAYOUT" "$REG/$1:v1"; }
get() { rm -rf got; c pull --format=oci "$REG/$1:v1" got; }
got() { layout_digest got; }
c() { crane --insecure "$@"; }
push() { c push "$WORK/images/image" "$REG/$NS/app:v1"; same digest "$(layout_digest "$WORK/images/image")" "$(remote_digest "$NS/app" v1)"; }
pull() {
  c pull --format=oci "$REG/$NS/app:v1" back
  same digest "$(layout_digest "$WORK/images/image")" "$(layout_digest back)"
  c pull --format=tarball "$REG/$NS/app:v1" back.tar
}
validate() { c validate --remote "$REG/$NS/app:v1"; }
copy() { c copy "$REG/$NS/app:v1" "$REG/$NS/copy:v1"; same digest "$(remote_digest "$NS/app" v1)" "$(remote_digest "$NS/copy" v1)"; }
retag() { c tag "$REG/$NS/app:v1" v2; same digest "$(remote_digest "$NS/app" v1)" "$(remote_digest "$NS/app" v2)"; }
append() {
  echo more > more.txt
  tar cf more.tar more.txt
  c append -b "$REG/$NS/app:v1" -f more.tar -t "$REG/$NS/app:more"
  same layers 4 "$(c manifest "$REG/$NS/app:more" | jq_py 'len(v["layers"])')"
}
multi() {
  c push --index "$WORK/images/multi" "$REG/$NS/multi:v1"
  # crane wraps the index of the layout; its entry is our image
  local top
  top=$(c manifest "$REG/$NS/multi:v1" | jq_py 'v["manifests"][0]["digest"]')
  same 'our index inside' "$(layout_digest "$WORK/images/multi")" "$top"
  c manifest --platform linux/arm64 "$REG/$NS/multi@$top" > arm64.json
  c pull --platform linux/arm64 --format=oci "$REG/$NS/multi@$top" back-multi
}
list() {
  same tags 'more v1 v2' "$(c ls "$REG/$NS/app" | sort | paste -sd' ')"
  contains catalog "$(c catalog "$REG")" "$NS/app"
}
delete_digest() {
  c delete "$REG/$NS/copy@$(c digest "$REG/$NS/copy:v1")"
  gone "$NS/copy" v1
}
delete_tag() {
  c delete "$REG/$NS/app:v2"
  gone "$NS/app" v2
  same 'v1 is left' "$(layout_digest "$WORK/images/image")" "$(remote_digest "$NS/app" v1)"
}
