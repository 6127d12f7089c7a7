# shellcheck shell=bash disable=SC2034
# What `auth` makes every client do. Sourced after the client's own file, whose verbs it uses:
#   log_in NAME PASSWORD, log_out
#   put REPO     pushes something new to REPO:v1
#   get REPO     pulls REPO:v1, nothing of it being here; `got` prints the digest of what came
# and where the client is unlike the others:
#   LOGIN_ASKS=no  its login only keeps the password, so a wrong one shows when it is first used
#   sow REPO       puts something there that it can pull, without its login
#   stored_as REPO prints the repository and tag that REPO:v1 really is
# `auth` exports MODE (basic, own, external), CLIENT, RULES and HTPASSWD: the files the daemon follows.
AUTH_STORIES=(
  'logged out: pull public|60|public_pull'
  'logged out: push public refused|60|public_push'
  'logged out: pull private refused|60|private_pull'
  'wrong password refused|60|wrong'
  'log in|30|log_in_alice'
  'logged in: push and pull private|120|private_both'
  'logged in: push and pull public|120|public_both'
  'rule added: refused before, then not|120|rule_added'
  'rule taken away: refused|60|rule_gone'
  'user taken away: refused, until back|120|user_gone'
  'another user: private refused, public not|120|bob'
  'logged out again: private refused|60|log_out_alice'
)
declare -F stored_as > /dev/null || stored_as() { echo "$1" v1; }
declare -F sow > /dev/null || sow() { as_keeper push "$WORK/images/image" "http://$REG" "$1" v1; }
password() { echo "$1 has a password"; }
as_keeper() { local verb=$1; shift; CLIENTS_USER=keeper CLIENTS_PASS=$(password keeper) python3 "$HERE/layout.py" "$verb" "$@"; }
# stored REPO: our own eyes on what is there
stored() { local at; read -ra at < <(stored_as "$1"); as_keeper digest "http://$REG" "${at[@]}"; }

# rules NAME...: who may do what, with these users of what is below later/
rules() {
  local rule='{"repository": "%s", "users": ["%s"], "permissions": [%s]}'
  {
    # shellcheck disable=SC2059  # the format is ours
    printf "{\"defaultPolicy\": \"deny\", \"adminUsers\": [\"keeper\"], \"rules\": [\n  $rule,\n  $rule,\n  $rule,\n  $rule" \
      'public/**' anonymous '"pull"' 'public/**' alice '"pull", "push"' 'public/**' '*' '"pull"' 'private/**' alice '"pull", "push"'
    # shellcheck disable=SC2059
    [ $# = 0 ] || printf ",\n  $rule" 'later/**' "$1" '"pull", "push"'
    printf '\n]}\n'
  } > "$RULES"
}
# users NAME...: the lines of these, moved into place as editors do
users() { local name; for name in "$@"; do cat "$HTPASSWD.d/$name"; done > "$HTPASSWD.new"; mv "$HTPASSWD.new" "$HTPASSWD"; }
# the time in which a changed file is in force, by the promise
in_force() { sleep $((2 * ${CLIENTS_PATIENCE:-1})); }

requests() { curl --silent --fail --max-time 10 "http://$REG/metrics" | awk '/^wharfinger_http_requests_total/ { n += $NF } END { print n }'; }
# refused WHAT COMMAND...: it asks, is told no, ends soon with an error that says why, and does not ask over and over
refused() {
  local what=$1 rc=0 before count began=$SECONDS pid; shift
  before=$(requests)
  # in the background, where `set -e` still means what it says
  (set -e; "$@") > refused.txt 2>&1 &
  pid=$!
  wait "$pid" || rc=$?
  cat refused.txt
  [ "$rc" != 0 ] || die "$what: was not refused"
  [ $((SECONDS - began)) -le $((20 * ${CLIENTS_PATIENCE:-1})) ] || die "$what: refused only after $((SECONDS - began)) s"
  # asking for the number is a request too
  count=$(($(requests) - before - 1))
  [ "$count" -ge 1 ] || die "$what: failed without asking: $(tail -n 1 refused.txt)"
  [ "$count" -le 60 ] || die "$what: asked $count times"
  # without what differs from run to run
  why=$(tr -d '\r' < refused.txt | sed -E "s#^time=\"[^\"]*\" level=[a-z]* msg=##; s#$REG#REGISTRY#g; s#$WORK#…#g; s#localhost:${TOKENS#*:}#SERVICE#g; s#(sha256:[0-9a-f]{8})[0-9a-f]*#\1…#g" \
    | grep -vi 'permission denied' | grep -iE 'denied|unauthorized|forbidden|authentication required|no basic auth|credential not found|insufficient|invalid username/password' | tail -n 1) \
    || die "$what: refused without saying why: $(tail -n 1 refused.txt)"
  echo "$what: refused with $rc after $count requests: $why"
  note "$why"
}
# absent REPO: nothing of what was refused is there
absent() { [ -z "$(stored "$1")" ] || die "$1: refused, and there nevertheless"; }
# arrives REPO: a push of it is there afterwards
arrives() { put "$1"; [ -n "$(stored "$1")" ] || die "$1: pushed, and not there"; }
# comes REPO: a pull brings what is there
comes() { get "$1"; same "digest of $1" "$(stored "$1")" "$(got)"; }

prepare() { rules; users alice bob keeper; sow "public/$CLIENT"; sow "private/$CLIENT"; in_force; }
public_pull() {
  if [ "$MODE" = basic ] && [ "$CLIENT" = docker ]; then
    refused 'pull where a password is asked for' get "public/$CLIENT"
    skip "gives up where a password is asked for: $why"
  fi
  comes "public/$CLIENT"
}
public_push() { refused push put "public/$CLIENT-anonymous"; absent "public/$CLIENT-anonymous"; }
private_pull() { refused pull get "private/$CLIENT"; }
wrong() {
  if [ "${LOGIN_ASKS:-yes}" = yes ]; then
    local told
    refused login log_in alice 'not the password'
    told=$why
    refused 'pull afterwards' get "private/$CLIENT"
    note "$told"
  else
    log_in alice 'not the password'
    refused 'first use' get "private/$CLIENT"
    log_out
  fi
}
log_in_alice() {
  log_in alice "$(password alice)"
  [ "$CLIENT" != containerd ] || skip 'ctr keeps no logins: name and password go with every command'
}
private_both() { comes "private/$CLIENT"; arrives "private/$CLIENT-mine"; comes "private/$CLIENT-mine"; }
public_both() { arrives "public/$CLIENT-mine"; comes "public/$CLIENT-mine"; }
rule_added() {
  refused 'push before' put "later/$CLIENT"
  rules alice
  in_force
  arrives "later/$CLIENT"
  comes "later/$CLIENT"
  arrives "private/$CLIENT-after"
  rm "$BOX/note"
}
rule_gone() {
  rules bob
  in_force
  refused push put "later/$CLIENT-again"
  refused pull get "later/$CLIENT"
  arrives "private/$CLIENT-later"
}
user_gone() {
  # whatever becomes of it, the next story finds everybody
  trap 'users alice bob keeper' EXIT
  users bob keeper
  in_force
  refused pull get "private/$CLIENT"
  refused push put "private/$CLIENT-gone"
  users alice bob keeper
  in_force
  comes "private/$CLIENT"
}
bob() {
  log_in bob "$(password bob)"
  refused pull get "private/$CLIENT"
  refused push put "private/$CLIENT-bob"
  absent "private/$CLIENT-bob"
  comes "public/$CLIENT"
}
log_out_alice() {
  log_in alice "$(password alice)"
  comes "private/$CLIENT"
  log_out
  refused pull get "private/$CLIENT"
}
