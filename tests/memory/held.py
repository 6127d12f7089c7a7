#!/usr/bin/env python3
"""Measures the daemon's memory while clients make it hold bytes, in all of these ways at once.

    tests/memory/held.py [BINARY]

    1,000 unfinished forms for a token       100 unfinished manifests of 4 MB
    60 readers of one 4 MB manifest that     20 HTTP/2 connections of 100 streams each
      stop reading                             with windows of a byte
    1,000 unfinished request heads           1,000 stalled uploads

They use 16 addresses (127.0.0.2 and up), so that the share of one client does not limit the total. Exit
0: resident memory stayed below 384 MiB, and another client was served meanwhile.
"""

import hashlib, json, os, re, resource, socket, struct, subprocess, sys, tempfile, time
from http.client import HTTPConnection

MOST_KIB = 384 * 1024
binary = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "target/release/wharfinger")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

sandbox = tempfile.TemporaryDirectory(prefix="wharfinger-memory.")
root = os.path.join(sandbox.name, "data")
os.mkdir(root)
htpasswd = os.path.join(sandbox.name, "htpasswd")
command = [binary, "htpasswd", "--file", htpasswd, "add", "u", "--stdin", "--cost", "4"]
subprocess.run(command, input=b"p", check=True, capture_output=True)
environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
environment |= {
    "REGISTRY_HOST": "127.0.0.1", "REGISTRY_PORT": "0", "REGISTRY_STORAGE_PATH": root,
    "REGISTRY_AUTH_TYPE": "basic", "REGISTRY_AUTH_HTPASSWD": htpasswd, "REGISTRY_AUTH_TOKEN_SIGNINGKEY": "auto",
    "REGISTRY_PUBLIC_URL": "http://127.0.0.1:1",
}
daemon = subprocess.Popen([binary], env=environment, cwd=sandbox.name, stdout=open(os.path.join(sandbox.name, "log"), "w"))
for _ in range(100):
    found = re.search(r"listening on 127\.0\.0\.1:(\d+)", open(os.path.join(sandbox.name, "log")).read())
    if found:
        break
    time.sleep(0.1)
port = int(found[1])
FORM = b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 32000\r\n\r\n"
LOGIN = "Authorization: Basic dTpw\r\n"
held, sources = [], 0


def connect():
    """A connection from the next of 16 addresses, which stays open."""
    global sources
    sources += 1
    stream = socket.socket()
    stream.bind((f"127.0.0.{2 + sources % 16}", 0))
    stream.connect(("127.0.0.1", port))
    stream.settimeout(2)
    held.append(stream)
    return stream


def send(stream, data):
    """Sends as far as the daemon takes it."""
    try:
        stream.sendall(data)
    except OSError:
        pass


def ask(method, path, body=b"", **headers):
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, {"Authorization": "Basic dTpw"} | headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def push_blob(content):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    status, _, _ = ask("POST", f"/v2/app/blobs/uploads/?digest={digest}", content)
    assert status == 201, status
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(content)}


def push(tag, padding):
    config = push_blob(b"{}") | {"mediaType": "application/vnd.oci.image.config.v1+json"}
    manifest = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": [], "annotations": {"padding": "a" * padding},
    }
    status, body, _ = ask("PUT", f"/v2/app/manifests/{tag}", json.dumps(manifest), **{"Content-Type": manifest["mediaType"]})
    assert status == 201, body


def resident(name="VmRSS"):
    return int(re.search(name + r":\s+(\d+)", open(f"/proc/{daemon.pid}/status").read())[1])


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(index, value):
    """A header field whose name is in HPACK's static table."""
    prefix = bytes([index]) if index < 15 else bytes([15, index - 15])
    return prefix + bytes([len(value)]) + value


def tiny_windows(path, streams):
    stream = connect()
    send(stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, 1)))
    send(stream, frame(8, 0, 0, struct.pack(">I", 1 << 24)))
    for number in range(streams):
        head = b"\x82\x86" + literal(4, path.encode()) + literal(1, b"x") + literal(23, b"Basic dTpw")
        send(stream, frame(1, 5, 2 * number + 1, head))


try:
    push("small", 10)
    push("large", 4_000_000)
    blob = push_blob(os.urandom(8 << 20))
    start = resident()
    print(f"{'before':44} {start // 1024:5} MiB")

    def step(what):
        time.sleep(0.5)
        print(f"{what:44} {resident() // 1024:5} MiB", flush=True)

    for _ in range(1000):
        send(connect(), FORM + b"grant_type=" + b"x" * 31_000)
    step("1,000 unfinished forms")
    for _ in range(100):
        head = f"PUT /v2/app/manifests/x HTTP/1.1\r\nHost: x\r\n{LOGIN}Content-Length: 4000000\r\n\r\n"
        send(connect(), head.encode() + b" " * 3_900_000)
    step("100 unfinished manifests of 4 MB")
    for _ in range(60):
        send(connect(), f"GET /v2/app/manifests/large HTTP/1.1\r\nHost: x\r\n{LOGIN}\r\n".encode())
    step("60 readers of a 4 MB manifest")
    for _ in range(20):
        tiny_windows(f"/v2/app/blobs/{blob['digest']}", 100)
    step("20 HTTP/2 connections of 100 tiny streams")
    for _ in range(1000):
        send(connect(), b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 60_000)
    step("1,000 unfinished heads")
    for _ in range(1000):
        status, _, headers = ask("POST", "/v2/app/blobs/uploads/")
        if status == 202:
            head = f"PATCH {headers['Location']} HTTP/1.1\r\nHost: x\r\n{LOGIN}Content-Length: 9000000\r\n\r\n"
            send(connect(), head.encode() + b"z" * 300_000)
    step("1,000 uploads that stand still")
    served = [ask("GET", path)[0] for path in ("/health", "/v2/", "/v2/app/manifests/small")]
    peak = resident("VmHWM")
    print(f"{'peak':44} {peak // 1024:5} MiB, limit {MOST_KIB // 1024}; others were served: {served}")
    for stream in held:
        stream.close()
    time.sleep(2)
    print(f"{'after they have gone':44} {resident() // 1024:5} MiB")
    sys.exit(0 if peak <= MOST_KIB and served == [200, 200, 200] else 1)
finally:
    daemon.kill()
    daemon.wait()
    if os.environ.get("SHOW_LOG"):
        print(open(os.path.join(sandbox.name, "log")).read()[-3000:])
