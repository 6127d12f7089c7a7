# shellcheck shell=bash disable=SC2034
NEEDS=(buildah)
HOWTO='Debian: buildah'
STORIES=(
  'log in|30|login'
  'build from scratch, push|120|push'
  'pull and compare|90|pull'
  'push in Docker format|90|docker_format'
  'Dockerfile with a base from here|120|bud'
  'multi-arch push|120|multi'
)
version() { buildah --version | awk '{ print $3 }'; }
b() { buildah --root "$BOX/root" --runroot "$BOX/runroot" --storage-driver vfs "$@"; }
log_in() { b login --tls-verify=false -u "$1" --password-stdin "$REG" <<< "$2"; }
log_out() { b logout "$REG"; }
pack() {
  local work
  head -c "${BYTES:-100000}" /dev/urandom > data.bin
  work=$(b from scratch)
  b copy "$work" data.bin /data.bin
  b commit --rm -q "$work" "$REG/$1:v1"
}
ship() { b push --tls-verify=false "$REG/$1:v1"; }
get() { b rmi -af; b pull --tls-verify=false "docker://$REG/$1:v1"; b images --digests --format '{{.Digest}}' "$REG/$1:v1" > got; }
got() { cat got; }
push() {
  local work
  head -c 3000000 /dev/urandom > data.bin
  echo hello > hello.txt
  work=$(b from scratch)
  b copy "$work" data.bin /data.bin
  b copy "$work" hello.txt /hello.txt
  b config --cmd /hello.txt --label who=us "$work"
  b commit --rm -q "$work" app
  b push --tls-verify=false --digestfile digest app "docker://$REG/$NS/app:v1"
  same digest "$(cat digest)" "$(remote_digest "$NS/app" v1)"
}
pull() {
  local id
  id=$(b images -q --no-trunc app)
  b rmi -af
  same id "${id#sha256:}" "$(b pull -q --tls-verify=false "docker://$REG/$NS/app:v1")"
}
docker_format() {
  b push --tls-verify=false --format v2s2 "$REG/$NS/app:v1" "docker://$REG/$NS/docker:v1"
  same 'media type' application/vnd.docker.distribution.manifest.v2+json \
    "$(web --head -H "Accept: $ACCEPT" "http://$REG/v2/$NS/docker/manifests/v1" | header Content-Type)"
}
bud() {
  mkdir -p context
  echo more > context/more.txt
  printf 'FROM %s\nCOPY more.txt /more.txt\n' "$REG/$NS/app:v1" > context/Dockerfile
  b rmi -af
  b bud --tls-verify=false --layers -t child context
  b push --tls-verify=false child "docker://$REG/$NS/child:v1"
  # The base's layers are the same blobs, in another repository.
  b rmi -af
  b pull --tls-verify=false "docker://$REG/$NS/child:v1"
}
multi() {
  seed multi "$NS/seeded" v1
  b manifest create list
  b manifest add --all --tls-verify=false list "docker://$REG/$NS/seeded:v1"
  b manifest push --all --tls-verify=false list "docker://$REG/$NS/multi:v1"
  same children 2 "$(web -H "Accept: $ACCEPT" "http://$REG/v2/$NS/multi/manifests/v1" | jq_py 'len(v["manifests"])')"
}
