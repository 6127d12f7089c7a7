# shellcheck shell=bash disable=SC2034
# The protocol by hand: requests that clients send only after failures, and behaviour that they rely on.
NEEDS=(curl)
HOWTO='Debian: curl'
STORIES=(
  'push by digest and tag|60|push'
  'pull and compare|60|pull'
  'upload resumed after a cut|60|resume'
  'upload resumed, length announced|60|resume_sized'
  'download resumed by range|60|range'
  'upload cancelled|30|cancel'
  'wrong digest refused|30|bad_digest'
  'mount from another repository|30|mount'
  'conditional pull|30|conditional'
  'tags in pages|30|tags'
  'referrers listed|30|referrers'
  'delete tag, then digest|30|delete'
)
version() { curl --version | awk 'NR == 1 { print $2 }'; }

push() { note "$(seed image "$NS/app" v1)"; }
pull() {
  local want digest
  want=$(layout_digest "$WORK/images/image")
  same 'HEAD by tag' "$want" "$(remote_digest "$NS/app" v1)"
  same 'bytes by tag' "$want" "$(remote_sum "$NS/app" v1)"
  same 'bytes by digest' "$want" "$(remote_sum "$NS/app" "$want")"
  for digest in $(web "http://$REG/v2/$NS/app/manifests/v1" -H "Accept: $OCI_MANIFEST" \
    | jq_py '" ".join(d["digest"] for d in [v["config"], *v["layers"]])'); do
    same 'blob' "${digest#sha256:}" "$(web --fail --location "http://$REG/v2/$NS/app/blobs/$digest" | sha256sum | cut -d' ' -f1)"
  done
}

start_upload() { absolute "$(web -D - -o /dev/null -X POST "http://$REG/v2/$NS/app/blobs/uploads/" | header Location)"; }
# upload_status LOCATION: sets WHERE to continue and NEXT, the offset of the first missing byte
upload_status() {
  local head range
  head=$(web -D - -o /dev/null "$1")
  contains 'status of the upload' "$head" ' 204'
  WHERE=$(absolute "$(header Location <<< "$head")")
  range=$(header Range <<< "$head")
  range=${range#bytes=}
  # an empty upload may have the range 0-0 (or none), like one byte; our halves are larger
  case $range in '' | 0-0) NEXT=0 ;; *) NEXT=$((${range#*-} + 1)) ;; esac
}
finish_from() { # FILE DIGEST
  local size
  size=$(stat -c %s "$1")
  tail -c "+$((NEXT + 1))" "$1" > rest
  local head
  head=$(web -D - -o /dev/null -X PATCH -H 'Content-Type: application/octet-stream' \
    -H "Content-Range: $NEXT-$((size - 1))" --data-binary @rest "$WHERE")
  contains 'rest of the upload' "$head" ' 202'
  WHERE=$(absolute "$(header Location <<< "$head")")
  same 'PUT' 201 "$(status -X PUT -H 'Content-Length: 0' "$(with_query "$WHERE" "digest=$2")")"
  same 'stored bytes' "${2#sha256:}" "$(web --fail --location "http://$REG/v2/$NS/app/blobs/$2" | sha256sum | cut -d' ' -f1)"
}
resume() {
  local where half=1500000
  head -c 4000000 /dev/urandom > blob
  where=$(start_upload)
  # A stream that stops in the middle: all bytes so far are sent, then the connection ends.
  { head -c "$half" blob; sleep 20; } \
    | web --max-time 2 -o /dev/null -X PATCH -H 'Content-Type: application/octet-stream' -T - "$where" 2> cut.txt \
    && die 'the cut did not happen'
  sleep 1
  upload_status "$where"
  [ "$NEXT" -le "$half" ] || die "status claims $NEXT bytes, $half were sent"
  finish_from blob "sha256:$(sha256sum blob | cut -d' ' -f1)"
  note "$NEXT of $half bytes sent before the cut were kept"
}
resume_sized() {
  local where first=1000000
  head -c 4000000 /dev/urandom > blob
  where=$(start_upload)
  head -c "$first" blob > part
  where=$(absolute "$(web -D - -o /dev/null -X PATCH -H "Content-Range: 0-$((first - 1))" \
    -H 'Content-Type: application/octet-stream' --data-binary @part "$where" | header Location)")
  # shellcheck disable=SC2153  # run exports it
  python3 "$HERE/cut.py" blob "$where" "$first" 1000000
  sleep 1
  upload_status "$where"
  [ "$NEXT" -ge "$first" ] || die "an acknowledged chunk is lost: $NEXT of $first bytes are left"
  [ "$NEXT" -le 2000000 ] || die "status claims $NEXT bytes, 2000000 were sent"
  finish_from blob "sha256:$(sha256sum blob | cut -d' ' -f1)"
  note "$NEXT of 2000000 bytes sent before the cut were kept"
}
range() {
  local digest url
  digest=$(web "http://$REG/v2/$NS/app/manifests/v1" -H "Accept: $OCI_MANIFEST" | jq_py 'v["layers"][-1]["digest"]')
  url=http://$REG/v2/$NS/app/blobs/$digest
  # the reader ends after a while, so curl disconnects
  web --fail --location "$url" 2> cut.txt | head -c 1000000 > down && die 'the cut did not happen'
  local had
  had=$(stat -c %s down)
  same 'bytes before the cut' 1000000 "$had"
  same 'status of the rest' 206 "$(web --fail --location --continue-at - -o down -w '%{http_code}' "$url")"
  same 'joined bytes' "${digest#sha256:}" "$(sha256sum down | cut -d' ' -f1)"
  note "resumed at $had"
}
cancel() {
  local where
  where=$(start_upload)
  same 'DELETE of the upload' 204 "$(status -X DELETE "$where")"
  same 'status of the cancelled upload' 404 "$(status "$where")"
}
bad_digest() {
  local where zeros
  zeros=$(printf '%064d' 0)
  where=$(start_upload)
  same 'PUT' 400 "$(status -X PUT -H 'Content-Type: application/octet-stream' --data-binary hello "$(with_query "$where" "digest=sha256:$zeros")")"
  same 'the blob' 404 "$(status --head "http://$REG/v2/$NS/app/blobs/sha256:$zeros")"
}
mount() {
  local digest
  digest=$(web "http://$REG/v2/$NS/app/manifests/v1" -H "Accept: $OCI_MANIFEST" | jq_py 'v["layers"][-1]["digest"]')
  same 'before' 404 "$(status --head "http://$REG/v2/$NS/other/blobs/$digest")"
  same 'POST mount' 201 "$(status -X POST "http://$REG/v2/$NS/other/blobs/uploads/?mount=$digest&from=$NS/app")"
  same 'after' 200 "$(status --head --location "http://$REG/v2/$NS/other/blobs/$digest")"
}
conditional() {
  local url=http://$REG/v2/$NS/app/manifests/v1 etag
  etag=$(web --head -H "Accept: $ACCEPT" "$url" | header ETag)
  [ -n "$etag" ] || die 'no ETag'
  same 'If-None-Match' 304 "$(status -H "Accept: $ACCEPT" -H "If-None-Match: $etag" "$url")"
}
tags() {
  local t page next pages=0 seen=''
  web --fail -H "Accept: $OCI_MANIFEST" -o manifest "http://$REG/v2/$NS/app/manifests/v1"
  for t in a b c d; do
    same 'PUT tag' 201 "$(status -X PUT -H "Content-Type: $OCI_MANIFEST" --data-binary @manifest "http://$REG/v2/$NS/app/manifests/$t")"
  done
  next="/v2/$NS/app/tags/list?n=2"
  while [ -n "$next" ]; do
    page=$(web --fail -D head.txt "$(absolute "$next")")
    seen+=$(jq_py '"".join(" "+t for t in v["tags"])' <<< "$page")
    next=$(header Link < head.txt | sed -n 's/.*<\(.*\)>.*/\1/p')
    pages=$((pages + 1))
    [ "$pages" -lt 10 ] || die "the pages do not end: $seen"
  done
  same 'all pages' ' a b c d v1' "$seen"
  # the order may be right by chance, but not the page size
  same 'pages of two' 3 "$pages"
}
referrers() {
  local subject empty manifest digest answer
  subject=$(remote_digest "$NS/app" v1)
  empty=sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
  same 'POST+PUT of {}' 201 "$(status -X PUT -H 'Content-Type: application/octet-stream' --data-binary '{}' "$(with_query "$(start_upload)" "digest=$empty")")"
  manifest='{"schemaVersion":2,"mediaType":"'$OCI_MANIFEST'","artifactType":"application/vnd.test.note","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"'$empty'","size":2},"layers":[{"mediaType":"application/vnd.oci.empty.v1+json","digest":"'$empty'","size":2}],"subject":{"mediaType":"'$OCI_MANIFEST'","digest":"'$subject'","size":'$(web "http://$REG/v2/$NS/app/manifests/v1" -H "Accept: $OCI_MANIFEST" | wc -c)'}}'
  printf '%s' "$manifest" > artifact
  digest=sha256:$(sha256sum artifact | cut -d' ' -f1)
  answer=$(web -D - -o /dev/null -X PUT -H "Content-Type: $OCI_MANIFEST" --data-binary @artifact "http://$REG/v2/$NS/app/manifests/$digest")
  contains 'PUT' "$answer" ' 201'
  same 'OCI-Subject' "$subject" "$(header OCI-Subject <<< "$answer")"
  same 'listed' "$digest" "$(web --fail "http://$REG/v2/$NS/app/referrers/$subject" | jq_py '" ".join(d["digest"] for d in v["manifests"])')"
  same 'filtered away' 0 "$(web --fail "http://$REG/v2/$NS/app/referrers/$subject?artifactType=other/type" | jq_py 'len(v["manifests"])')"
}
delete() {
  local digest
  digest=$(remote_digest "$NS/app" v1)
  same 'DELETE tag' 202 "$(status -X DELETE "http://$REG/v2/$NS/app/manifests/v1")"
  gone "$NS/app" v1
  same 'still there by digest' "$digest" "$(remote_digest "$NS/app" "$digest")"
  same 'DELETE digest' 202 "$(status -X DELETE "http://$REG/v2/$NS/app/manifests/$digest")"
  gone "$NS/app" "$digest"
}
