# shellcheck shell=bash
# Functions for all stories. Sourced by `run` and again in the new bash of each story, so it must not do anything
# beyond defining functions. `run` exports:
#   REG         host:port of the registry (plain HTTP)
#   NS          prefix of this client's repositories, new for every run so that a peer can be used repeatedly
#   HERE        this directory
#   WORK        temporary directory of the whole run; BOX is this client's part of it
#   LAYOUT      the OCI layout that `pack` and `ship` send, tagged "image" (WORK/images/image)
#   CLIENTS_USER, CLIENTS_PASS   credentials, both empty when not logged in
# shellcheck disable=SC2034  # the client files read these
ACCEPT='application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json'
OCI_MANIFEST=application/vnd.oci.image.manifest.v1+json

die() { printf '%s\n' "$*" >&2; exit 1; }
# Skips the story, because this client cannot do it.
skip() { note "$*"; exit 77; }
# The text of the row if the story succeeds.
note() { printf '%s\n' "$*" > "$BOX/note"; }
# `pack` creates what a client pushes, and `ship` sends it: only the second talks to the registry.
put() { pack "$1"; ship "$1"; }
logged_in() { [ -n "$CLIENTS_USER" ]; }
login() { log_in "$CLIENTS_USER" "$CLIENTS_PASS"; }

# same WHAT EXPECTED GOT
same() { if [ -z "$2" ] || [ "$2" != "$3" ]; then die "$1: expected '$2', got '$3'"; fi; }
# contains WHAT HAYSTACK NEEDLE
# On one line, because the row shows the last line of the log.
contains() { case $2 in *"$3"*) ;; *) die "$1: no '$3' in: $(tr -d '\r' <<< "${2:0:400}" | tr '\n' ' ')" ;; esac; }

# Reads the registry without the client under test, so that its output is not only compared with itself.
web() {
  local auth=()
  logged_in && auth=(--user "$CLIENTS_USER:$CLIENTS_PASS")
  curl --silent --show-error --max-time 60 "${auth[@]}" "$@"
}
status() { web --output /dev/null --write-out '%{http_code}' "$@"; }
header() { tr -d '\r' | awk -v k="$1" 'tolower($1) == tolower(k ":") { $1 = ""; sub(/^ /, ""); v = $0 } END { print v }'; }
# remote_digest REPO REFERENCE: the digest from HEAD; empty if it does not exist
remote_digest() { web --head --header "Accept: $ACCEPT" "http://$REG/v2/$1/manifests/$2" | header Docker-Content-Digest; }
# remote_sum REPO REFERENCE: the digest of the bytes that GET sends
remote_sum() { echo "sha256:$(web --fail --header "Accept: $ACCEPT" "http://$REG/v2/$1/manifests/$2" | sha256sum | cut -d' ' -f1)"; }
# gone REPO REFERENCE
gone() { same "status of deleted $1 $2" 404 "$(status --head --header "Accept: $ACCEPT" "http://$REG/v2/$1/manifests/$2")"; }
# The digest of the only entry of an OCI layout.
layout_digest() { jq_py 'v["manifests"][0]["digest"]' < "$1/index.json"; }
# jq_py EXPRESSION: a Python expression over the JSON value v on stdin; python3 is needed anyway, and jq would be one more
# thing to install.
jq_py() { python3 -c 'import json,sys; v=json.load(sys.stdin); r=eval(sys.argv[1]); print(r if isinstance(r,str) else json.dumps(r))' "$1"; }
# seed IMAGE|MULTI REPO TAG: pushes an image without the client under test
seed() { python3 "$HERE/layout.py" push "$WORK/images/$1" "http://$REG" "$2" "$3"; }
# Location headers may be relative.
absolute() { case $1 in http*) echo "$1" ;; *) echo "http://$REG$1" ;; esac; }
with_query() { case $1 in *\?*) echo "$1&$2" ;; *) echo "$1?$2" ;; esac; }

# Processes outlive the story that started them, so they are recorded with their start time: a process id alone may
# belong to another process when it is time to end it.
proc_birth() { awk '{ sub(/.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null || true; }
# spawn LOG COMMAND...: starts a daemon of this run; `run` ends it
spawn() {
  local log=$1 pid; shift
  setsid "$@" > "$log" 2>&1 < /dev/null &
  pid=$!
  disown "$pid"
  printf '%s %s\n' "$pid" "$(proc_birth "$pid")" >> "$BOX/pids"
  SPAWNED=$pid
}
alive() { kill -0 "$1" 2>/dev/null; }
# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1)); shift
  until "$@" > /dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}
# end_spawned PIDS_FILE: sends SIGTERM, waits, sends SIGKILL
end_spawned() {
  local pid birth try
  [ -f "$1" ] || return 0
  # the youngest first: a daemon before the daemon it talks to
  while read -r pid birth; do
    if [ -z "$birth" ] || [ "$(proc_birth "$pid")" != "$birth" ]; then continue; fi
    kill -TERM "$pid" 2>/dev/null || continue
    for try in $(seq 100); do
      [ "$(proc_birth "$pid")" = "$birth" ] || continue 2
      [ "$try" = 80 ] && kill -KILL "$pid" 2>/dev/null
      sleep 0.1
    done
  done < <(tac "$1")
  rm -f "$1"
}
