#!/usr/bin/env python3
"""Makes the images that the client stories push, and can push one without any client.

layout.py make DIR SEED MEGABYTES   DIR/image (one image), DIR/multi (an index of two platforms), DIR/heavy (an image
                                    whose manifest has 80 kB), and DIR/image.tar, DIR/heavy.tar
layout.py push LAYOUT URL REPO TAG  directly over HTTP, for stories that begin with a pull
layout.py digest URL REPO TAG       the digest of what GET returns; empty if there is no such tag

The credentials are CLIENTS_USER and CLIENTS_PASS. They are exchanged for a token if the registry asks for one.

The images are real (valid tars, correct diff_ids), because some clients unpack what they pull. They differ for each
seed, so that no cache of a client and no earlier copy in a registry makes a push look faster.
"""
import base64
import gzip
import hashlib
import io
import json
import os
import random
import re
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type, data, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Layout:
    def __init__(self, path):
        self.path = path
        os.makedirs(f"{path}/blobs/sha256", exist_ok=True)

    def add(self, data):
        with open(f"{self.path}/blobs/sha256/{digest(data)[7:]}", "wb") as f:
            f.write(data)
        return data

    def close(self, tag, entry):
        entry = dict(entry, annotations={
            "org.opencontainers.image.ref.name": tag,
            # containerd names an imported image by this one
            "io.containerd.image.name": f"local.invalid/{tag}:{tag}",
        })
        with open(f"{self.path}/index.json", "wb") as f:
            f.write(dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}))
        with open(f"{self.path}/oci-layout", "wb") as f:
            f.write(b'{"imageLayoutVersion":"1.0.0"}')


def layer(name, data):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def image(layout, rng, arch, megabytes, **more):
    tars = [
        layer("hello.txt", f"hello from {arch} {rng.random()}\n".encode()),
        layer("notes.txt", b"".join(b"%d\n" % rng.randrange(1 << 60) for _ in range(2000))),
        layer("data.bin", rng.randbytes(megabytes << 20)),
    ]
    packed = [layout.add(gzip.compress(t, 1, mtime=0)) for t in tars]
    config = layout.add(dump({
        "architecture": arch, "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["/hello.txt"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(t) for t in tars]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": f"layer {n}"} for n in range(len(tars))],
    }))
    manifest = layout.add(dump({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, p) for p in packed], **more,
    }))
    return descriptor(MANIFEST, manifest)


def make(target, seed, megabytes):
    rng = random.Random(seed)
    one = Layout(f"{target}/image")
    one.close("image", image(one, rng, "amd64", megabytes))
    many = Layout(f"{target}/multi")
    children = [dict(image(many, rng, arch, 1), platform={"os": "linux", "architecture": arch})
                for arch in ("amd64", "arm64")]
    index = many.add(dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}))
    many.close("multi", descriptor(INDEX, index))
    heavy = Layout(f"{target}/heavy")
    heavy.close("image", image(heavy, rng, "amd64", 1, annotations={"org.example.padding": "x" * 80_000}))
    for layout in (one, heavy):
        with tarfile.open(f"{layout.path}.tar", "w") as tar:
            tar.add(layout.path, ".")


def basic():
    pair = os.environ["CLIENTS_USER"] + ":" + os.environ.get("CLIENTS_PASS", "")
    return "Basic " + base64.b64encode(pair.encode()).decode()


def call(method, url, data=None, headers={}, authorization=None):
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    if os.environ.get("CLIENTS_USER"):
        request.add_header("Authorization", authorization or basic())
    try:
        return urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as e:
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', e.headers.get("WWW-Authenticate", "")))
        # a challenge with a service names a token service
        if e.code != 401 or authorization or "service" not in challenge or not os.environ.get("CLIENTS_USER"):
            raise
    query = urllib.parse.urlencode({key: challenge[key] for key in ("service", "scope") if key in challenge})
    request = urllib.request.Request(challenge["realm"] + "?" + query, headers={"Authorization": basic()})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return call(method, url, data, headers, "Bearer " + json.load(answer)["token"])


def remote_digest(base, repo, tag):
    try:
        return digest(call("GET", f"{base}/v2/{repo}/manifests/{tag}", headers={"Accept": f"{INDEX}, {MANIFEST}, {DOCKER}"}).read())
    except urllib.error.HTTPError as e:
        if e.code != 404:
            sys.exit(f"{e.code} from {e.url}: {e.read()[:300]!r}")
        return ""


def push(path, base, repo, tag):
    def blob(d):
        with open(f"{path}/blobs/" + d.replace(":", "/"), "rb") as f:
            return f.read()

    def send_bytes(method, url, data, media_type="application/octet-stream"):
        return call(method, url, data, {"Content-Type": media_type})

    def send_blob(d):
        where = send_bytes("POST", f"{base}/v2/{repo}/blobs/uploads/", b"").headers["Location"]
        where = where if where.startswith("http") else base + where
        send_bytes("PUT", where + ("&" if "?" in where else "?") + "digest=" + d, blob(d))

    def send(entry, reference):
        body = blob(entry["digest"])
        parsed = json.loads(body)
        for child in parsed.get("manifests", []):
            send(child, child["digest"])
        for part in [parsed["config"], *parsed["layers"]] if "layers" in parsed else []:
            send_blob(part["digest"])
        send_bytes("PUT", f"{base}/v2/{repo}/manifests/{reference}", body, entry["mediaType"])

    with open(f"{path}/index.json", "rb") as f:
        entry = json.load(f)["manifests"][0]
    try:
        send(entry, tag)
    except urllib.error.HTTPError as e:
        sys.exit(f"{e.code} from {e.url}: {e.read()[:300]!r}")
    print(entry["digest"])


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "make":
        make(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif len(sys.argv) == 6 and sys.argv[1] == "push":
        push(*sys.argv[2:])
    elif len(sys.argv) == 5 and sys.argv[1] == "digest":
        print(remote_digest(*sys.argv[2:]))
    else:
        sys.exit(__doc__)
