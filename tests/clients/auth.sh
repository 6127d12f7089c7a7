# shellcheck shell=bash disable=SC2034
# The steps of `auth` for every client. Sourced after the client's own file, whose functions it uses:
#   log_in NAME PASSWORD, log_out
#   put REPO     pushes something new to REPO:v1
#   get REPO     pulls REPO:v1 when nothing of it is cached; `got` prints the digest of what was pulled
# and if the client differs from the others:
#   LOGIN_ASKS=no  its login only stores the password, so a wrong one is noticed when it is first used
#   sow REPO       pushes something there that it can pull, without its login
#   stored_as REPO prints the real repository and tag of REPO:v1
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
  'an API key as the password, until revoked|120|api_key'
  'no such namespace: push refused, until made|120|strict'
  'logged out again: private refused|60|log_out_alice'
)
declare -F stored_as > /dev/null || stored_as() { echo "$1" v1; }
declare -F sow > /dev/null || sow() { as_keeper push "$WORK/images/image" "http://$REG" "$1" v1; }
# oras asks a token service at a loopback address only if the registry has the same host name
[ "${CLIENT:-none}:${MODE:-none}" != oras:external ] || REG=localhost:${REG#*:}
password() { echo "$1 has a password"; }
as_keeper() { local verb=$1; shift; CLIENTS_USER=keeper CLIENTS_PASS=$(password keeper) python3 "$HERE/layout.py" "$verb" "$@"; }
# stored REPO: the digest in the registry, read without the client
stored() { local at; read -ra at < <(stored_as "$1"); as_keeper digest "http://$REG" "${at[@]}"; }

# rules_for_namespace NAME: the access rules; alice may use this namespace
rules_for_namespace() { rules alice; sed -i "s#later/\*\*#$1/**#" "$RULES"; }
# rules NAME...: the access rules; these users may use repositories below later/
rules() {
  local rule='{"repository": "%s", "users": ["%s"], "permissions": [%s]}'
  {
    # shellcheck disable=SC2059  # the format is not user input
    printf "{\"defaultPolicy\": \"deny\", \"adminUsers\": [\"keeper\"], \"rules\": [\n  $rule,\n  $rule,\n  $rule,\n  $rule" \
      'public/**' anonymous '"pull"' 'public/**' alice '"pull", "push"' 'public/**' '*' '"pull"' 'private/**' alice '"pull", "push"'
    # shellcheck disable=SC2059
    [ $# = 0 ] || printf ",\n  $rule" 'later/**' "$1" '"pull", "push"'
    printf '\n]}\n'
  } > "$RULES"
}
# users NAME...: writes an htpasswd file with these users, and renames it into place as editors do
users() { local name; for name in "$@"; do cat "$HTPASSWD.d/$name"; done > "$HTPASSWD.new"; mv "$HTPASSWD.new" "$HTPASSWD"; }
# within this time a changed file must take effect
in_force() { sleep $((2 * ${CLIENTS_PATIENCE:-1})); }

requests() { curl --silent --fail --max-time 10 "http://$REG/metrics" | awk '/^wharfinger_http_requests_total/ { n += $NF } END { print n }'; }
# refused WHAT COMMAND...: the command is refused, ends soon with an error that says why, and does not retry endlessly
refused() {
  local what=$1 rc=0 before count began=$SECONDS pid; shift
  before=$(requests)
  # in the background, where `set -e` still works
  (set -e; "$@") > refused.txt 2>&1 &
  pid=$!
  wait "$pid" || rc=$?
  cat refused.txt
  [ "$rc" != 0 ] || die "$what: was not refused"
  [ $((SECONDS - began)) -le $((20 * ${CLIENTS_PATIENCE:-1})) ] || die "$what: refused only after $((SECONDS - began)) s"
  # reading the number is a request too
  count=$(($(requests) - before - 1))
  [ "$count" -ge 1 ] || die "$what: failed without asking: $(tail -n 1 refused.txt)"
  [ "$count" -le 60 ] || die "$what: asked $count times"
  # without the parts that differ from run to run
  why=$(tr -d '\r' < refused.txt | sed -E "s#^time=\"[^\"]*\" level=[a-z]* msg=##; s#$REG#REGISTRY#g; s#$WORK#…#g; s#localhost:${TOKENS#*:}#SERVICE#g; s#(sha256:[0-9a-f]{8})[0-9a-f]*#\1…#g" \
    | grep -vi 'permission denied' | grep -iE 'denied|unauthorized|forbidden|authentication required|no basic auth|credential not found|insufficient|invalid username/password|does not create it' | tail -n 1) \
    || die "$what: refused without saying why: $(tail -n 1 refused.txt)"
  echo "$what: refused with $rc after $count requests: $why"
  note "$why"
}
# absent REPO: nothing of the refused push exists
absent() { [ -z "$(stored "$1")" ] || die "$1: refused, and there nevertheless"; }
# arrives REPO: pushes it, and checks that it exists afterwards
arrives() { put "$1"; [ -n "$(stored "$1")" ] || die "$1: pushed, and not there"; }
# comes REPO: pulls it, and checks that it is what the registry has
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
  # restores all users for the next story, whatever happens
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
# api METHOD PATH [JSON]: a request to the management API by alice, who has to be an administrator for some
api() {
  printf 'user = "%s:%s"\n' "${WHO:-alice}" "$(password "${WHO:-alice}")" > api.conf
  curl --silent --fail --max-time 10 --config api.conf --request "$1" ${3:+--json "$3"} "http://$REG/api/v1$2"
}
api_key() {
  local made key
  made=$(api POST /keys '{"name": "'"$CLIENT"'", "scopes": ["repository:private/**:pull,push"]}')
  key=$(jq -er .secret <<< "$made")
  log_in alice "$key"
  comes "private/$CLIENT"
  arrives "private/$CLIENT-by-key"
  refused 'push beyond its scopes' put "public/$CLIENT-by-key"
  absent "public/$CLIENT-by-key"
  api DELETE "/keys/$(jq -er .id <<< "$made")"
  refused 'pull by a revoked key' get "private/$CLIENT"
  log_in alice "$(password alice)"
}
strict() {
  printf '[repositories]\nauto_create = "in_namespaces"\n' > "$SETTINGS"
  # restores the setting for the next story, whatever happens
  trap 'echo "# None." > "$SETTINGS"' EXIT
  rules_for_namespace "$CLIENT-team"
  in_force
  refused push put "$CLIENT-team/app"
  grep -qi "namespace $CLIENT-team does not exist" refused.txt || die "the reason is not told: $(tail -n 1 refused.txt)"
  WHO=keeper api POST /namespaces '{"name": "'"$CLIENT-team"'"}'
  arrives "$CLIENT-team/app"
  rules
}
log_out_alice() {
  log_in alice "$(password alice)"
  comes "private/$CLIENT"
  log_out
  refused pull get "private/$CLIENT"
}
