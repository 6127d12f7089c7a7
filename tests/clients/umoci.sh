# shellcheck shell=bash disable=SC2034
# umoci makes and unpacks images, skopeo pushes and pulls them; the result must still unpack.
NEEDS=(umoci skopeo)
HOWTO='Debian: umoci skopeo'
STORIES=('make and push|60|push' 'pull and unpack|60|pull')
version() { umoci --version | awk '{ print $3 }'; }
push() {
  logged_in && skopeo login --tls-verify=false -u "$CLIENTS_USER" --password-stdin "$REG" <<< "$CLIENTS_PASS"
  umoci init --layout made
  umoci new --image made:v1
  head -c 3000000 /dev/urandom > data.bin
  umoci insert --image made:v1 data.bin /data.bin
  umoci config --image made:v1 --config.cmd /data.bin --config.label who=us
  skopeo copy --dest-tls-verify=false oci:made:v1 "docker://$REG/$NS/app:v1"
}
pull() {
  skopeo copy --src-tls-verify=false "docker://$REG/$NS/app:v1" oci:back:v1
  umoci unpack --image back:v1 bundle
  cmp data.bin bundle/rootfs/data.bin
}
