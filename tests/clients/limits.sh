# shellcheck shell=bash disable=SC2034
# Registries that are full or have small limits: a push must fail within two seconds, with a message. Sourced after the
# client's own file, whose functions it uses: `pack REPO`, `ship REPO`, and `pack_large_manifest`, `ship_large_manifest` if
# the client needs another way to make a large manifest. `run` starts the daemons and exports their addresses.
LIMIT_STORIES=(
  'storage full: told at once|90|storage_full'
  'blob too large: told at once|90|blob_too_large'
  'upload quota: told at once|90|quota_exceeded'
  'manifest too large: told at once|90|manifest_too_large'
)
# docker, podman, skopeo, crane and containerd take no more than two seconds; oras and helm repeat every 5xx, and regctl
# every chunk, whatever the response is
case $CLIENT in oras | helm) PATIENCE_MS=12000 ;; regctl) PATIENCE_MS=80000 ;; *) PATIENCE_MS=2000 ;; esac
# larger than a blob or an upload may be there; clients without a layout push this many random bytes
BYTES=3000000

# told_at_once REPO WORDS PACK SHIP: the push fails soon, and its output contains these words
told_at_once() {
  local repo=$1 words=$2 rc=0 began took pid
  # for a chunk regctl shows only the status, without reason phrase or message
  case $CLIENT:$words in regctl:*'1 MiB' | regctl:*quota*) words='Request Entity Too Large' ;; esac
  ! logged_in || login
  "$3" "$repo"
  began=${EPOCHREALTIME/./}
  # in the background, where `set -e` still works
  (set -e; "$4" "$repo") > refused.txt 2>&1 &
  pid=$!
  wait "$pid" || rc=$?
  took=$(((${EPOCHREALTIME/./} - began) / 1000))
  cat refused.txt
  [ "$rc" != 0 ] || die 'was not refused'
  why=$(tr -d '\r' < refused.txt | grep -F "$words" | tail -n 1) || die "refused without saying '$words': $(tail -n 1 refused.txt)"
  [ "$took" -le $((PATIENCE_MS * ${CLIENTS_PATIENCE:-1})) ] || die "told only after $took ms: $why"
  note "$took ms: ${why//$REG/REGISTRY}"
}
storage_full() { REG=$REG_FULL; told_at_once "$NS/full" 'no space left on device' pack ship; }
blob_too_large() { REG=$REG_BLOB; told_at_once "$NS/blob" "larger than this registry's limit of 1 MiB" pack ship; }
quota_exceeded() { REG=$REG_QUOTA; told_at_once "$NS/quota" 'upload quota exceeded' pack ship; }
manifest_too_large() {
  REG=$REG_MANIFEST LAYOUT=$WORK/images/heavy
  local of=
  case $CLIENT in
    docker | buildah | helm | cosign) skip 'makes no manifest larger than the smallest limit, 64 KiB' ;;
    podman) of=_large_manifest ;;
  esac
  told_at_once "$NS/manifest" "larger than this registry's limit of 64 KiB" "pack$of" "ship$of"
}
