# shellcheck shell=bash disable=SC2034
NEEDS=(oras)
HOWTO='go install oras.land/oras/cmd/oras@latest'
STORIES=(
  'log in|30|login'
  'artifact push|60|push'
  'artifact pull and compare|60|pull'
  'attach and discover|60|attach'
  'copy with referrers|60|copy'
  'image from a layout and back|60|image'
  'multi-arch push and pull|60|multi'
  'several tags at once|30|tags'
  'list tags and repositories|30|list'
  'blob push, fetch, delete|30|blob'
  'delete|30|delete'
)
version() { oras version | awk '/^Version/ { print $2 }'; }
log_in() { oras login --plain-http -u "$1" --password-stdin "$REG" <<< "$2"; }
log_out() { oras logout "$REG"; }
pack() { :; }
ship() { oras copy --from-oci-layout --to-plain-http "$LAYOUT:image" "$REG/$1:v1"; }
get() { rm -rf got; oras copy --from-plain-http --to-oci-layout "$REG/$1:v1" got:v1; }
got() { layout_digest got; }
push() {
  head -c 2000000 /dev/urandom > data.bin
  echo hello > notes.txt
  oras push --plain-http --artifact-type application/vnd.test.thing "$REG/$NS/thing:v1" data.bin:application/octet-stream notes.txt:text/plain
}
pull() { oras pull --plain-http -o back "$REG/$NS/thing:v1"; cmp data.bin back/data.bin; cmp notes.txt back/notes.txt; }
attach() {
  echo '{}' > sig.json
  oras attach --plain-http --artifact-type application/vnd.test.signature "$REG/$NS/thing:v1" sig.json:application/json
  contains discover "$(oras discover --plain-http --format json "$REG/$NS/thing:v1")" application/vnd.test.signature
  [ "$(status "http://$REG/v2/$NS/thing/referrers/$(remote_digest "$NS/thing" v1)")" = 200 ] || note 'by the fallback tag: no referrers API'
}
copy() {
  oras copy --from-plain-http --to-plain-http -r "$REG/$NS/thing:v1" "$REG/$NS/copy:v1"
  same digest "$(remote_digest "$NS/thing" v1)" "$(remote_digest "$NS/copy" v1)"
  contains discover "$(oras discover --plain-http --format json "$REG/$NS/copy:v1")" application/vnd.test.signature
}
image() {
  oras copy --from-oci-layout --to-plain-http "$WORK/images/image:image" "$REG/$NS/app:v1"
  same digest "$(layout_digest "$WORK/images/image")" "$(remote_digest "$NS/app" v1)"
  oras copy --from-plain-http --to-oci-layout "$REG/$NS/app:v1" layout:v1
  same 'digest back' "$(layout_digest "$WORK/images/image")" "$(layout_digest layout)"
}
multi() {
  oras copy --from-oci-layout --to-plain-http "$WORK/images/multi:multi" "$REG/$NS/multi:v1"
  same digest "$(layout_digest "$WORK/images/multi")" "$(remote_digest "$NS/multi" v1)"
  oras manifest fetch --plain-http --platform linux/arm64 "$REG/$NS/multi:v1" > arm64.json
  oras pull --plain-http --platform linux/arm64 -o multi "$REG/$NS/multi:v1"
}
tags() {
  oras tag --plain-http "$REG/$NS/app:v1" v2 v3 latest
  same digest "$(remote_digest "$NS/app" v1)" "$(remote_digest "$NS/app" latest)"
}
list() {
  same tags 'latest v1 v2 v3' "$(oras repo tags --plain-http "$REG/$NS/app" | sort | paste -sd' ')"
  contains repositories "$(oras repo ls --plain-http "$REG")" "$NS/app"
}
blob() {
  local digest
  echo "$NS" > some
  digest=sha256:$(sha256sum some | cut -d' ' -f1)
  oras blob push --plain-http "$REG/$NS/app@$digest" some
  oras blob fetch --plain-http -o got "$REG/$NS/app@$digest"
  cmp some got
  oras blob delete --plain-http --force "$REG/$NS/app@$digest"
  same 'deleted blob' 404 "$(status --head "http://$REG/v2/$NS/app/blobs/$digest")"
}
delete() {
  # oras resolves the tag and deletes the digest, so every tag of it is deleted
  oras manifest delete --plain-http --force "$REG/$NS/app:v2"
  gone "$NS/app" v2
  gone "$NS/app" "$(layout_digest "$WORK/images/image")"
}
