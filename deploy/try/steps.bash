# What the sessions in this directory have in common. They run inside of deploy/try/layer, with /shared.
# shellcheck shell=bash disable=SC2034  # who sources this uses the variables
shopt -s inherit_errexit

say() { echo "== $*"; }
fail() { echo "WRONG: $*" >&2; exit 1; }
# same WHAT EXPECTED FOUND
same() { [ "$2" = "$3" ] || { diff <(echo "$2") <(echo "$3") >&2 || true; fail "$1: expected and found differ"; }; }
is_gone() { [ ! -e "$1" ] || fail "$1 is still there"; }
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
# Names, owners, modes and contents of the files below some directories.
listing() { find "$@" -printf '%p %u %g %m %l\n' | sort; find "$@" -type f -print0 | sort -z | xargs -0r sha256sum; }
# The shell commands of a page of docs/: the only block that has some text.
block() {
    python3 - "$1" << 'PYTHON'
import pathlib, re, sys
pages = [page.read_text() for page in pathlib.Path("docs").rglob("*.md")]
blocks = [block for page in pages for block in re.findall(r"```sh\n(.*?)```", page, re.S) if sys.argv[1] in block]
if len(blocks) != 1:
    sys.exit(f"{len(blocks)} blocks of commands in docs/ have {sys.argv[1]}")
print(blocks[0], end="")
PYTHON
}

configuration=/etc/wharfinger store=/var/lib/wharfinger
daemon='' port='' password='' pushed='' manifest=''

# Installs the binary and the unit of a checkout, as docs/installation.md says.
by_hand() {
    block deploy/systemd/wharfinger.sysusers > /tmp/commands
    # All but the first configuration and the start.
    grep -v -e 'wharfinger init' -e systemctl /tmp/commands > /tmp/installation
    bash -euo pipefail /tmp/installation
}
# Writes the first configuration, as documented.
init() {
    runuser -u wharfinger -- wharfinger init --dir "$configuration" > /tmp/init
    take_password
}
password_of_init() { sed -n 's/^password  \([^ ]*\).*/\1/p' /tmp/init | grep . || fail "init shows no password: $(cat /tmp/init)"; }
# Keeps what `init` printed, and has the registry use a free port.
take_password() {
    password=$(password_of_init)
    port=$(free_port)
    printf '\nREGISTRY_PORT=%s\n' "$port" >> "$configuration/.env"
}
# Does what systemd does with the unit that is installed: its user, its directory, its variables and its commands.
start() {
    local unit=/usr/lib/systemd/system/wharfinger.service variables as_unit
    [ ! -e /etc/systemd/system/wharfinger.service ] || unit=/etc/systemd/system/wharfinger.service
    setting() { sed -n "s/^$1=//p" "$unit"; }
    mapfile -t variables < <(setting Environment; grep -E '^[A-Z_]+=' "$(setting EnvironmentFile)" | sed -E 's/^([A-Z_]+)="(.*)"$/\1=\2/')
    as_unit=(runuser -u "$(setting User)" -- env -C "$(setting WorkingDirectory)" "${variables[@]}")
    # shellcheck disable=SC2046  # a command and its arguments
    "${as_unit[@]}" $(setting ExecStart) > /tmp/daemon.log 2>&1 &
    daemon=$!
    for _ in $(seq 100); do
        ! curl -fsS -o /dev/null "http://127.0.0.1:$port/health" 2> /dev/null || return 0
        kill -0 "$daemon" 2> /dev/null || break
        sleep 0.1
    done
    cat /tmp/daemon.log >&2
    fail 'the daemon does not answer'
}
# runuser passes the signal on.
stop() { kill "$daemon"; wait "$daemon" || [ $? = 143 ] || fail 'the daemon did not end well'; }
ask() { curl -fsS -u "admin:$password" "$@"; }

registry() { echo "http://127.0.0.1:$port/v2/team/app"; }
digest() { echo "sha256:$(sha256sum | cut -d' ' -f1)"; }
# An image of a layer of random bytes.
push() {
    local part config layer
    head -c 300000 /dev/urandom > /tmp/layer
    echo '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}' > /tmp/config
    for part in config layer; do
        ask -o /dev/null -X POST --data-binary "@/tmp/$part" -H 'Content-Type: application/octet-stream' \
            "$(registry)/blobs/uploads/?digest=$(digest < /tmp/$part)"
    done
    config=$(digest < /tmp/config) layer=$(digest < /tmp/layer)
    cat > /tmp/manifest <<- MANIFEST
	{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
	 "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"$config","size":$(stat -c %s /tmp/config)},
	 "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"$layer","size":300000}]}
	MANIFEST
    ask -o /dev/null -X PUT --data-binary @/tmp/manifest -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' "$(registry)/manifests/1.0"
    pushed=$layer manifest=$(digest < /tmp/manifest)
}
pull() {
    same 'the manifest' "$manifest" "$(ask "$(registry)/manifests/1.0" | digest)"
    same 'the layer' "$pushed" "$(ask "$(registry)/blobs/$pushed" | digest)"
}
