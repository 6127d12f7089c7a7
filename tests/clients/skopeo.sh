# shellcheck shell=bash disable=SC2034
NEEDS=(skopeo)
HOWTO='Debian: skopeo'
STORIES=(
  'log in|30|login'
  'push|60|push'
  'inspect|30|inspect'
  'pull and compare|60|pull'
  'push as Docker schema 2|60|schema2'
  'copy between repositories|60|copy'
  'multi-arch push and pull|60|multi'
  'list tags|30|list'
  'sync a repository to a directory|60|sync'
  'delete|30|delete'
)
version() { skopeo --version | awk '{ print $3 }'; }
log_in() { skopeo login --tls-verify=false -u "$1" --password-stdin "$REG" <<< "$2"; }
log_out() { skopeo logout "$REG"; }
pack() { :; }
ship() { cp_ "oci:$LAYOUT:image" "docker://$REG/$1:v1"; }
get() { rm -rf got; cp_ "docker://$REG/$1:v1" oci:got:v1; }
got() { layout_digest got; }
cp_() { skopeo copy --src-tls-verify=false --dest-tls-verify=false "$@"; }
push() {
  cp_ "oci:$WORK/images/image:image" "docker://$REG/$NS/app:v1"
  same digest "$(layout_digest "$WORK/images/image")" "$(remote_digest "$NS/app" v1)"
}
inspect() {
  same digest "$(remote_digest "$NS/app" v1)" "$(skopeo inspect --tls-verify=false "docker://$REG/$NS/app:v1" | jq_py 'v["Digest"]')"
  skopeo inspect --config --tls-verify=false "docker://$REG/$NS/app:v1"
}
pull() {
  cp_ "docker://$REG/$NS/app:v1" oci:back:v1
  same digest "$(layout_digest "$WORK/images/image")" "$(layout_digest back)"
}
schema2() {
  cp_ --format v2s2 "docker://$REG/$NS/app:v1" "docker://$REG/$NS/docker:v1"
  same 'media type' application/vnd.docker.distribution.manifest.v2+json \
    "$(web --head -H "Accept: $ACCEPT" "http://$REG/v2/$NS/docker/manifests/v1" | header Content-Type)"
}
copy() {
  cp_ --preserve-digests "docker://$REG/$NS/app:v1" "docker://$REG/$NS/copy:v1"
  same digest "$(remote_digest "$NS/app" v1)" "$(remote_digest "$NS/copy" v1)"
}
multi() {
  cp_ --all "oci:$WORK/images/multi:multi" "docker://$REG/$NS/multi:v1"
  same digest "$(layout_digest "$WORK/images/multi")" "$(remote_digest "$NS/multi" v1)"
  skopeo --override-arch arm64 copy --src-tls-verify=false "docker://$REG/$NS/multi:v1" dir:arm64
  cp_ --all "docker://$REG/$NS/multi:v1" oci:back-multi:v1
  same 'digest back' "$(layout_digest "$WORK/images/multi")" "$(layout_digest back-multi)"
}
list() {
  cp_ "docker://$REG/$NS/app:v1" "docker://$REG/$NS/app:v2"
  same tags 'v1 v2' "$(skopeo list-tags --tls-verify=false "docker://$REG/$NS/app" | jq_py '" ".join(v["Tags"])')"
}
sync() { mkdir -p synced; skopeo sync --src-tls-verify=false --src docker --dest dir "$REG/$NS/app" synced; ls -d synced/app:v1 synced/app:v2; }
delete() {
  skopeo delete --tls-verify=false "docker://$REG/$NS/copy:v1"
  gone "$NS/copy" v1
}
