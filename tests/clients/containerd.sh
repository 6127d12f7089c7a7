# shellcheck shell=bash disable=SC2034
NEEDS=(containerd ctr)
HOWTO='Debian: containerd'
STORIES=(
  'import and push|90|push'
  'pull and compare|90|pull'
  'pull by digest|90|by_digest'
  'push to another repository|90|copy'
  'multi-arch pull and push|120|multi'
  'pull through hosts.toml|90|hosts'
  'push over a line that stalls|150|stalled'
)
version() { containerd --version | awk '{ print $3 }'; }
c() { ctr --address "$BOX/containerd.sock" --namespace test "$@"; }
# ctr stores no logins: the user is passed with every command
LOGIN_ASKS=no
log_in() { printf '%s:%s' "$1" "$2" > login; }
log_out() { rm login; }
user() { if logged_in; then login; fi; [ ! -f login ] || printf -- '--user\n%s\n' "$(cat login)"; }
pack() {
  c images import --no-unpack "$LAYOUT.tar"
  c images tag --force local.invalid/image:image "$REG/$1:v1"
}
ship() { i push --plain-http "$REG/$1:v1"; }
get() { forget; fetch "$REG/$1:v1"; held "$REG/$1:v1" > got; }
got() { cat got; }
# i VERB ARGUMENTS: the image commands that talk to a registry
i() { local verb=$1 u; shift; mapfile -t u < <(user); c images "$verb" "${u[@]}" "$@"; }
# the native snapshotter copies files: it works on any file system and mounts nothing
fetch() { i pull --plain-http --snapshotter native "$@"; }
setup() {
  cat > containerd.toml << TOML
version = 2
root = "$BOX/root"
state = "$BOX/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$BOX/containerd.sock"
TOML
  spawn containerd.log containerd --config containerd.toml
  until_true 20 c version || { cat containerd.log; die 'containerd did not start'; }
}
held() { c images ls | awk -v n="$1" '$1 == n { print $3 }'; }
forget() { c images ls -q | while read -r name; do c images rm --sync "$name"; done; c content ls -q | while read -r d; do c content rm "$d" || true; done; }
push() {
  local name
  c images import --no-unpack "$WORK/images/image.tar"
  name=$(c images ls -q | head -n 1)
  c images tag "$name" "$REG/$NS/app:v1"
  i push --plain-http "$REG/$NS/app:v1"
  same digest "$(layout_digest "$WORK/images/image")" "$(remote_digest "$NS/app" v1)"
}
pull() {
  forget
  fetch "$REG/$NS/app:v1"
  same digest "$(layout_digest "$WORK/images/image")" "$(held "$REG/$NS/app:v1")"
}
by_digest() { forget; fetch "$REG/$NS/app@$(layout_digest "$WORK/images/image")"; }
copy() {
  # containerd labels what it pulled with its source, and tries to mount from there
  c images tag --force "$REG/$NS/app@$(layout_digest "$WORK/images/image")" "$REG/$NS/copy:v1"
  i push --plain-http "$REG/$NS/copy:v1"
  same digest "$(layout_digest "$WORK/images/image")" "$(remote_digest "$NS/copy" v1)"
}
multi() {
  local digest
  digest=$(seed multi "$NS/seeded" v1)
  fetch --all-platforms "$REG/$NS/seeded:v1"
  same digest "$digest" "$(held "$REG/$NS/seeded:v1")"
  c images tag "$REG/$NS/seeded:v1" "$REG/$NS/multi:v1"
  i push --plain-http "$REG/$NS/multi:v1"
  same 'digest pushed' "$digest" "$(remote_digest "$NS/multi" v1)"
}
hosts() {
  # the way Kubernetes nodes are configured
  mkdir -p "certs.d/$REG"
  printf 'server = "http://%s"\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$REG" "$REG" > "certs.d/$REG/hosts.toml"
  forget
  i pull --hosts-dir "$BOX/certs.d" --snapshotter native "$REG/$NS/app:v1"
}
stalled() {
  # longer than the registry waits: it answers 408, and containerd repeats the same PUT
  local relay name
  spawn stall.log python3 "$HERE/stall.py" "$REG" 1000000
  until_true 10 test -s stall.log || die 'the relay did not start'
  relay=127.0.0.1:$(head -n 1 stall.log)
  forget
  c images import --no-unpack "$WORK/images/image.tar"
  name=$(c images ls -q | head -n 1)
  c images tag "$name" "$relay/$NS/stalled:v1"
  i push --plain-http "$relay/$NS/stalled:v1"
  contains 'the relay' "$(tail -n 1 stall.log)" stalled
  same digest "$(layout_digest "$WORK/images/image")" "$(remote_digest "$NS/stalled" v1)"
}
