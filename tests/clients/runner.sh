# shellcheck shell=bash disable=SC2034
# Shared by the commands `run` and `auth`: the directory of a run, the daemons, the clients one after another, the
# rows and the table. Sourced once by the command, which has set HERE; stories see common.sh only.
# shellcheck source=common.sh
. "$HERE/common.sh"

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; }
fail_start() { printf '%s\n' "$*" >&2; exit 2; }
story_pid='' keep=''

# chosen ALL...: checks that the names in `only` exist; no name means all
chosen() {
  local name
  for name in "${only[@]}"; do
    case " $* " in *" $name "*) ;; *) fail_start "no client '$name'; there are: $*" ;; esac
  done
  [ ${#only[@]} -gt 0 ] || only=("$@")
}

# begin TOOLS...: creates the directory of this run, and makes sure that nothing of the run is left behind
begin() {
  local tool name
  for tool in curl python3 timeout setsid awk "$@"; do
    command -v "$tool" > /dev/null || fail_start "this script itself needs $tool"
  done
  # the working directory changes
  [ -z "${CLIENTS_TABLE:-}" ] || CLIENTS_TABLE=$(realpath -m "$CLIENTS_TABLE")
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/clients.XXXXXX")
  BOX=$WORK
  ROWS=$WORK/rows
  : > "$ROWS"
  # The clients see nothing of the caller's own logins, settings and caches.
  # REGISTRY_* is for the daemon only: REGISTRY_AUTH_FILE, for one, means something else to podman.
  passed_on=()
  for name in $(compgen -e | grep '^REGISTRY_' || true); do
    passed_on+=("$name=${!name}")
    unset "$name"
  done
  unset DOCKER_HOST DOCKER_CONTEXT DOCKER_AUTH_CONFIG CONTAINER_HOST REGCTL_CONFIG HELM_REGISTRY_CONFIG
  unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME
  PATH=${CLIENTS_PATH:-/opt/clients/bin}:$PATH
  CLIENTS_USER=${CLIENTS_USER:-} CLIENTS_PASS=${CLIENTS_PASS:-}
  LAYOUT=$WORK/images/image
  export HERE WORK BOX LAYOUT PATH CLIENTS_USER CLIENTS_PASS
  no_proxies
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

no_proxies() { unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY no_proxy; }

cleanup() {
  trap - EXIT INT TERM HUP
  local pids mount
  # timeout passes the signal on to everything the story started
  [ -z "$story_pid" ] || { kill -TERM "$story_pid" 2>/dev/null || true; wait "$story_pid" 2>/dev/null || true; }
  for pids in "$WORK"/*/*/pids "$WORK"/*/pids "$WORK/pids"; do end_spawned "$pids"; done
  # a killed container engine may leave mounts, through which rm would delete other files
  while read -r mount; do umount -l "$mount" 2>/dev/null || true; done \
    < <(awk -v w="$WORK/" 'index($2, w) == 1 { print $2 }' /proc/mounts | sort -r)
  if [ -n "$keep" ]; then echo "kept: $WORK" >&2; else rm -rf --one-file-system "$WORK"; fi
}

free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }

# start_registry NAME=VALUE...: the daemon, with its directory in BOX; sets REG
start_registry() {
  local bin=${WHARFINGER_BIN:-$HERE/../../target/release/wharfinger} port
  [ -x "$bin" ] || fail_start "no daemon at $bin: cargo build --release, or set WHARFINGER_BIN"
  port=$(free_port)
  REG=127.0.0.1:$port
  mkdir "$BOX/storage" "$BOX/cwd"
  # its working directory is empty, so that no .env of the caller is read
  bin=$(realpath "$bin")
  cd "$BOX/cwd" || return
  spawn "$BOX/registry.log" env "${passed_on[@]}" "$@" \
    REGISTRY_HOST=127.0.0.1 "REGISTRY_PORT=$port" "REGISTRY_STORAGE_PATH=$BOX/storage" "$bin"
  cd "$HERE" || return
  until_true 20 curl --silent --fail --max-time 2 "http://$REG/health" \
    || { tail -n 20 "$BOX/registry.log" >&2; fail_start "the registry did not answer on http://$REG/health"; }
}

row() { # CLIENT VERSION STORY RESULT DETAIL; a mode of the command is the row's last column
  local detail
  detail=$(printf '%s' "$5" | tr '\n\t' '  ' | tr -d '\r' | sed 's/|/\\|/g; s/\x1b\[[0-9;]*m//g' | cut -c1-220)
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$detail" "${MODE:-}" >> "$ROWS"
  printf '%s%-11s %-34s %s%s\n' "${MODE:+$(printf '%-9s' "$MODE")}" "$1" "$3" "$4" "${detail:+: $detail}" >&2
}

# in_bash SECONDS CLIENT FUNCTION: in a separate bash, so that `set -e` works (inside an `if` or `||`
# it would not) and a time limit can end it with everything it started. STORYBOOK is a file of further stories.
in_bash() {
  local rc=0
  # shellcheck disable=SC2016  # expanded by the inner bash
  timeout -k 5 "$(($1 * ${CLIENTS_PATIENCE:-1}))" \
    bash -c 'set -euo pipefail; shopt -s inherit_errexit; . "$HERE/common.sh"; . "$HERE/$1.sh"
             [ -z "${STORYBOOK:-}" ] || . "$STORYBOOK"; cd "$BOX"; "$2"' \
    story "$2" "$3" < /dev/null &
  story_pid=$!
  # waiting for a background process allows a signal to be handled before the story ends
  wait "$story_pid" || rc=$?
  story_pid=''
  return "$rc"
}

story() { # CLIENT VERSION STORY SECONDS FUNCTION
  local log=$BOX/$5.log rc=0 detail
  rm -f "$BOX/note"
  in_bash "$4" "$1" "$5" > "$log" 2>&1 || rc=$?
  detail=$(cat "$BOX/note" 2>/dev/null || true)
  case $rc in
    0) row "$1" "$2" "$3" ok "$detail" ;;
    77) row "$1" "$2" "$3" skipped "$detail" ;;
    124 | 137) row "$1" "$2" "$3" FAILED "no end after $(($4 * ${CLIENTS_PATIENCE:-1})) s: $(tail -n 1 "$log")" ;;
    *) row "$1" "$2" "$3" FAILED "$(grep -v '^[[:space:]]*$' "$log" | tail -n 1)"
       sed 's/^/    /' "$log" | tail -n 15 >&2 ;;
  esac
  return "$rc"
}

# client NAME BOX: reads its file and gives it a separate home, so that one client's login does not help another.
# Fails if a tool is missing, after a row that says so, or if it does not start. Sets VERSION and STORIES.
client() {
  local missing=() tool
  NEEDS=() STORIES=() HOWTO=''
  unset -f version setup pack ship
  # one client's file may set a proxy, which the next must not see
  no_proxies
  # shellcheck source=/dev/null
  . "$HERE/$1.sh"
  for tool in "${NEEDS[@]}"; do command -v "$tool" > /dev/null || missing+=("$tool"); done
  if [ ${#missing[@]} -gt 0 ]; then
    row "$1" - all missing "${missing[*]} ($HOWTO)"
    printf 'missing: %s (%s)\n' "$1" "$HOWTO" >&2
    return 1
  fi
  BOX=$2
  HOME=$BOX/home XDG_RUNTIME_DIR=$BOX/xdg DOCKER_CONFIG=$BOX/home/.docker
  export BOX HOME XDG_RUNTIME_DIR DOCKER_CONFIG
  mkdir -p "$DOCKER_CONFIG" "$HOME/.config/containers" "$XDG_RUNTIME_DIR"
  chmod 700 "$XDG_RUNTIME_DIR"
  # podman and buildah need the file to exist if DOCKER_CONFIG is set
  printf '{"auths":{}}\n' > "$DOCKER_CONFIG/config.json"
  printf '{"default":[{"type":"insecureAcceptAnything"}]}\n' > "$HOME/.config/containers/policy.json"
  VERSION=$(in_bash 20 "$1" version 2>/dev/null | head -n 1) || VERSION='?'
  if declare -F setup > /dev/null && ! story "$1" "$VERSION" 'start' 60 setup; then
    end_spawned "$BOX/pids"
    return 1
  fi
}

count() { awk -F '\t' -v want="$1" 'index(want, " " $4 " ") { n++ } END { print n + 0 }' "$ROWS"; }
# summary: the counts; fails if anything failed
summary() {
  local failed
  failed=$(count ' FAILED ')
  printf '%s passed, %s failed, %s skipped\n' "$(count ' ok ')" "$failed" "$(count ' missing skipped ')"
  [ "$failed" = 0 ]
}
