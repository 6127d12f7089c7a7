# shellcheck shell=bash disable=SC2034
NEEDS=(podman)
HOWTO='Debian: podman'
STORIES=(
  'log in|30|login'
  'push|90|push'
  'pull and compare|90|pull'
  'pull by digest|90|by_digest'
  'push to another repository|90|copy'
  'push compressed with zstd|90|zstd'
  'multi-arch push and pull|120|multi'
  'search and list tags|30|list'
)
version() { podman --version | awk '{ print $3 }'; }
# Separate storage, so that no image of the machine is used or left behind; vfs needs no kernel features.
p() { podman --root "$BOX/root" --runroot "$BOX/runroot" --storage-driver vfs "$@"; }
log_in() { p login --tls-verify=false -u "$1" --password-stdin "$REG" <<< "$2"; }
log_out() { p logout "$REG"; }
pack() {
  [ -d layout ] || cp -r "$WORK/images/image" layout
  p tag "$(p pull -q oci:layout:image)" "$REG/$1:v1"
}
ship() { p push --tls-verify=false "$REG/$1:v1"; }
# podman rewrites an image's manifest without annotations; an index keeps them
pack_large_manifest() {
  p manifest create "$REG/$1:v1"
  p manifest add --annotation "org.example.padding=$(printf '%080000d' 0)" "$REG/$1:v1" "oci:$LAYOUT:image"
}
ship_large_manifest() { p manifest push "$REG/$1:v1" --tls-verify=false "docker://$REG/$1:v1"; }
get() { p rmi -af; p pull --tls-verify=false "$REG/$1:v1"; p image inspect --format '{{.Digest}}' "$REG/$1:v1" > got; }
got() { cat got; }
push() {
  local id
  # podman derives an image name from the path, so the path must be short and in lower case
  cp -r "$WORK/images/image" layout
  id=$(p pull -q oci:layout:image)
  echo "$id" > id
  p tag "$id" "$REG/$NS/app:v1"
  p push --tls-verify=false --digestfile digest "$REG/$NS/app:v1"
  same digest "$(cat digest)" "$(remote_digest "$NS/app" v1)"
}
pull() {
  p rmi -af
  same id "$(cat id)" "$(p pull -q --tls-verify=false "$REG/$NS/app:v1")"
  # podman recompresses layers for a push, so its own digest is compared, not that of the layout
  same digest "$(cat digest)" "$(p image inspect --format '{{.Digest}}' "$REG/$NS/app:v1")"
}
by_digest() { p rmi -af; p pull --tls-verify=false "$REG/$NS/app@$(cat digest)"; p tag "$(cat id)" "$REG/$NS/app:v1"; }
copy() {
  p tag "$REG/$NS/app:v1" "$REG/$NS/copy:v1"
  p push --tls-verify=false "$REG/$NS/copy:v1"
  [ -n "$(remote_digest "$NS/copy" v1)" ] || die 'not there'
}
zstd() {
  p push --tls-verify=false --force-compression --compression-format zstd "$REG/$NS/app:v1" "$REG/$NS/zstd:v1" \
    || p push --tls-verify=false --compression-format zstd "$REG/$NS/app:v1" "$REG/$NS/zstd:v1"
  p rmi -af
  p pull --tls-verify=false "$REG/$NS/zstd:v1"
}
multi() {
  seed multi "$NS/seeded" v1
  p pull --tls-verify=false --arch arm64 "$REG/$NS/seeded:v1"
  p rmi -af
  p manifest create list
  p manifest add --all --tls-verify=false list "docker://$REG/$NS/seeded:v1"
  p manifest push --all --tls-verify=false list "docker://$REG/$NS/multi:v1"
  same children 2 "$(web -H "Accept: $ACCEPT" "http://$REG/v2/$NS/multi/manifests/v1" | jq_py 'len(v["manifests"])')"
}
list() {
  contains tags "$(p search --tls-verify=false --list-tags "$REG/$NS/app")" v1
  contains search "$(p search --tls-verify=false --limit 100 "$REG/$NS/app")" "$NS/app"
}
