# shellcheck shell=bash disable=SC2034
# With a local key and without the public log, so that nothing leaves this machine.
NEEDS=(cosign)
HOWTO='go install github.com/sigstore/cosign/v3/cmd/cosign@latest'
STORIES=(
  'log in|30|login'
  'sign|60|sign'
  'verify|60|verify'
  'attest and verify|60|attest'
  'copy with signatures|60|copy'
  'tree|30|tree'
  'unsigned is refused|60|unsigned'
)
version() { cosign version 2> /dev/null | awk '/^GitVersion/ { print $2 }'; }
export COSIGN_PASSWORD=test COSIGN_YES=true
# A proxy that does not exist: requests to public services fail at once; loopback is never proxied.
export HTTPS_PROXY=http://127.0.0.1:9 HTTP_PROXY=http://127.0.0.1:9
[ -z "${REG:-}" ] || export NO_PROXY=${REG%:*},localhost
log_in() { cosign login "$REG" -u "$1" --password-stdin <<< "$2"; }
log_out() { printf '{"auths":{}}\n' > "$DOCKER_CONFIG/config.json"; }
LOGIN_ASKS=no
pack() { head -c "${BYTES:-1000}" /dev/urandom > small; }
ship() { cosign upload blob --allow-http-registry -f small "$REG/$1:v1"; }
get() { rm -rf got; cosign save --allow-http-registry --dir got "$REG/$1:v1"; }
got() { layout_digest got; }
image() { echo "$REG/$NS/app@$(layout_digest "$WORK/images/image")"; }
# v2 and v3 have different flags for "no transparency log"
offline() { if cosign sign --help 2>&1 | grep -q -- --signing-config; then echo v3; else echo v2; fi; }
nolog() {
  if [ "$(offline)" = v3 ]; then
    cosign signing-config create --out signing.json > /dev/null
    printf -- '--signing-config=signing.json\n'
  else
    printf -- '--tlog-upload=false\n'
  fi
}
sign() {
  local flags
  seed image "$NS/app" v1
  cosign generate-key-pair
  mapfile -t flags < <(nolog)
  cosign sign --key cosign.key "${flags[@]}" --allow-http-registry "$(image)"
  [ "$(status "http://$REG/v2/$NS/app/referrers/$(remote_digest "$NS/app" v1)")" = 200 ] || note 'by the fallback tag: no referrers API'
}
verify() { cosign verify --key cosign.pub --insecure-ignore-tlog=true --allow-http-registry "$(image)"; }
attest() {
  local flags
  echo '{"made":"here"}' > predicate.json
  mapfile -t flags < <(nolog)
  cosign attest --key cosign.key "${flags[@]}" --allow-http-registry --type custom --predicate predicate.json "$(image)"
  cosign verify-attestation --key cosign.pub --insecure-ignore-tlog=true --allow-http-registry --type custom "$(image)"
}
copy() {
  if [ "$(offline)" = v2 ]; then
    cosign copy --allow-http-registry "$(image)" "$REG/$NS/copy:v1"
  else
    # v3 keeps signatures as referrers, which its own (deprecated) copy leaves behind; it recommends oras
    command -v oras > /dev/null || skip 'v3 leaves this to oras, which is missing'
    oras copy --from-plain-http --to-plain-http -r "$(image)" "$REG/$NS/copy:v1"
    note 'copied by oras, verified by cosign'
  fi
  cosign verify --key cosign.pub --insecure-ignore-tlog=true --allow-http-registry "$REG/$NS/copy:v1"
}
tree() { cosign tree --allow-http-registry "$(image)"; }
unsigned() {
  local digest
  digest=$(seed multi "$NS/unsigned" v1)
  ! cosign verify --key cosign.pub --insecure-ignore-tlog=true --allow-http-registry "$REG/$NS/unsigned@$digest" || die 'verified what nobody signed'
}
