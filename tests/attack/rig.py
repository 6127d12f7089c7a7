"""A separate daemon for each attack, and the requests of a hostile client."""

import base64, hashlib, json, os, re, resource, signal, socket, subprocess, tempfile, time
from http.client import HTTPConnection

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

BINARY = os.path.realpath(os.environ.get("WHARFINGER_BIN", "target/release/wharfinger"))
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
TICK = os.sysconf("SC_CLK_TCK")


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def basic(user):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{user}!".encode()).decode()}


class Daemon:
    """A daemon that ends with its `with` block."""

    def __init__(self, users=(), cost=4, settings="", rules=None, before=None, stdout=None, **variables):
        self.sandbox = tempfile.TemporaryDirectory(prefix="wharfinger-attack.")
        self.dir = self.sandbox.name
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
        environment |= {
            "REGISTRY_HOST": "127.0.0.1", "REGISTRY_PORT": str(free_port()),
            "REGISTRY_STORAGE_PATH": self.path("data"), "REGISTRY_SETTINGS": self.path("settings.toml"),
        }
        self.port = int(environment["REGISTRY_PORT"])
        self.write("settings.toml", settings or "# defaults\n")
        self.write("htpasswd", "")
        os.chmod(self.path("htpasswd"), 0o600)
        for user in users:
            command = [BINARY, "htpasswd", "--file", self.path("htpasswd"), "add", user, "--stdin", "--cost", str(cost)]
            subprocess.run(command, input=f"{user}!".encode(), check=True, capture_output=True)
        if users:
            environment |= {"REGISTRY_AUTH_TYPE": "basic", "REGISTRY_AUTH_HTPASSWD": self.path("htpasswd")}
        if rules is not None:
            self.write("rules.json", json.dumps(rules))
            environment |= {"REGISTRY_ACCESS_CONTROL_ENABLED": "true", "REGISTRY_ACCESS_CONTROL_CONFIG": self.path("rules.json")}
        log = stdout or open(self.path("log"), "w")
        self.process = subprocess.Popen(
            [BINARY], env=environment | variables, cwd=self.dir, stdout=log, stderr=subprocess.STDOUT, preexec_fn=before
        )
        for _ in range(200):
            try:
                if self.ask("GET", "/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"the daemon did not start:\n{self.log()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        """In one step, as an editor does."""
        with open(self.path(name + ".new"), "w") as file:
            file.write(text)
        os.replace(self.path(name + ".new"), self.path(name))

    def log(self):
        return open(self.path("log")).read() if os.path.exists(self.path("log")) else ""

    def ask(self, method, path, body=b"", headers=None, source="127.0.0.1", timeout=30):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout, source_address=(source, 0))
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def connect(self, source="127.0.0.1", timeout=30):
        return socket.create_connection(("127.0.0.1", self.port), timeout, (source, 0))

    def push_blob(self, name, content, **headers):
        status, body, _ = self.ask("POST", f"/v2/{name}/blobs/uploads/?digest={sha256(content)}", content, headers)
        assert status == 201, (status, body)
        return {"mediaType": "application/octet-stream", "digest": sha256(content), "size": len(content)}

    def push_manifest(self, name, reference, manifest, **headers):
        headers |= {"Content-Type": manifest["mediaType"]}
        body = json.dumps(manifest).encode()
        status, answer, _ = self.ask("PUT", f"/v2/{name}/manifests/{reference}", body, headers)
        assert status == 201, (status, answer)
        return sha256(body)

    def push_image(self, name, tag, **headers):
        config = self.push_blob(name, b"{}", **headers) | {"mediaType": "application/vnd.oci.image.config.v1+json"}
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []}
        return self.push_manifest(name, tag, manifest, **headers)

    def cpu(self):
        """Processor time used so far, in seconds."""
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self, name="VmRSS"):
        """In MiB."""
        return int(re.search(name + r":\s+(\d+)", open(f"/proc/{self.process.pid}/status").read())[1]) >> 10

    def end(self, patience=60):
        """Seconds until it has ended after SIGTERM; `None` if it does not."""
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began


def free_port():
    with socket.socket() as stream:
        stream.bind(("127.0.0.1", 0))
        return stream.getsockname()[1]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]
