# shellcheck shell=bash disable=SC2034
# A separate engine with its own data and socket, without a network; the machine's engine is not touched.
NEEDS=(dockerd docker containerd runc)
HOWTO='Debian: docker.io'
STORIES=(
  'log in|30|login'
  'build and push|120|push'
  'pull and compare|120|pull'
  'pull by digest|120|by_digest'
  'push to another repository (mount)|120|copy'
  'pull an OCI index|120|multi'
  'manifest list made and pushed|120|list'
  'import, push, pull|120|import_'
)
version() { printf '%s (client %s)\n' "$(dockerd --version | sed 's/.*version \([^, ]*\).*/\1/')" "$(docker --version | sed 's/.*version \([^, ]*\).*/\1/')"; }
d() { docker --host "unix://$BOX/docker.sock" "$@"; }
setup() {
  # containerd is started apart from dockerd, so that both can be ended by their process ids
  cat > containerd.toml << TOML
version = 2
root = "$BOX/containerd-root"
state = "$BOX/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$BOX/containerd.sock"
TOML
  spawn containerd.log containerd --config containerd.toml
  until_true 20 test -S containerd.sock || { cat containerd.log; die 'containerd did not start'; }
  # never the machine's /etc/docker/daemon.json
  echo '{}' > daemon.json
  spawn dockerd.log dockerd --config-file "$BOX/daemon.json" --containerd "$BOX/containerd.sock" --data-root "$BOX/data" --exec-root "$BOX/exec" \
    --pidfile "$BOX/docker.pid" --host "unix://$BOX/docker.sock" --storage-driver vfs \
    --iptables=false --ip6tables=false --bridge=none --insecure-registry 127.0.0.0/8 --insecure-registry "$REG"
  until_true 40 d version || { tail -n 20 dockerd.log; die 'dockerd did not start'; }
}
log_in() { d login -u "$1" --password-stdin "$REG" <<< "$2"; }
log_out() { d logout "$REG"; }
pack() {
  mkdir -p small
  head -c "${BYTES:-100000}" /dev/urandom > small/data.bin
  tar -C small -c . | d import - "$REG/$1:v1"
}
ship() { d push "$REG/$1:v1"; }
get() { forget; d pull "$REG/$1:v1" > got.txt; }
got() { sed -n 's/^Digest: //p' got.txt; }
pushed_digest() { sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' "$1"; }
push() {
  mkdir -p context
  head -c 4000000 /dev/urandom > context/data.bin
  echo hello > context/hello.txt
  head -c 9000 /dev/urandom > context/small.bin
  printf 'FROM scratch\nCOPY hello.txt /\nCOPY small.bin /\nCOPY data.bin /\nCMD ["/hello.txt"]\n' > context/Dockerfile
  # the classic builder, because Debian's package lacks the BuildKit plugin
  DOCKER_BUILDKIT=0 d build -t "$REG/$NS/app:v1" context
  d image inspect --format '{{.Id}}' "$REG/$NS/app:v1" > id
  d push "$REG/$NS/app:v1" > push.txt
  same digest "$(pushed_digest push.txt)" "$(remote_digest "$NS/app" v1)"
}
forget() { d images -q | sort -u | xargs -r docker --host "unix://$BOX/docker.sock" rmi -f; }
pull() {
  forget
  d pull "$REG/$NS/app:v1" | tee pull.txt
  contains digest "$(cat pull.txt)" "Digest: $(pushed_digest push.txt)"
  same id "$(cat id)" "$(d image inspect --format '{{.Id}}' "$REG/$NS/app:v1")"
}
by_digest() { forget; d pull "$REG/$NS/app@$(pushed_digest push.txt)"; d tag "$(cat id)" "$REG/$NS/app:v1"; }
copy() {
  d tag "$REG/$NS/app:v1" "$REG/$NS/copy:v1"
  d push "$REG/$NS/copy:v1" | tee copy.txt
  same digest "$(pushed_digest push.txt)" "$(remote_digest "$NS/copy" v1)"
  contains 'what docker said' "$(cat copy.txt)" 'Mounted from'
  note "$(grep -c 'Mounted from' copy.txt) of 3 layers mounted"
}
multi() {
  local digest
  digest=$(seed multi "$NS/seeded" v1)
  contains digest "$(d pull "$REG/$NS/seeded:v1")" "Digest: $digest"
  d pull --platform linux/arm64 "$REG/$NS/seeded:v1"
  same platform arm64 "$(d image inspect --format '{{.Architecture}}' "$REG/$NS/seeded:v1")"
}
list() {
  d tag "$REG/$NS/seeded:v1" "$REG/$NS/multi:arm64"
  d tag "$REG/$NS/app:v1" "$REG/$NS/multi:amd64"
  d push "$REG/$NS/multi:arm64"
  d push "$REG/$NS/multi:amd64"
  d manifest create --insecure "$REG/$NS/multi:v1" "$REG/$NS/multi:amd64" "$REG/$NS/multi:arm64"
  d manifest annotate --arch arm64 "$REG/$NS/multi:v1" "$REG/$NS/multi:arm64"
  d manifest push --insecure "$REG/$NS/multi:v1"
  same children 2 "$(d manifest inspect --insecure "$REG/$NS/multi:v1" | jq_py 'len(v["manifests"])')"
}
import_() {
  tar -C context -c . | d import -c 'CMD ["/hello.txt"]' - "$REG/$NS/imported:v1"
  d push "$REG/$NS/imported:v1"
  forget
  d pull "$REG/$NS/imported:v1"
}
