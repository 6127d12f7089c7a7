"""The attacks. Each returns its figure as text, and whether it is within its limit."""

import json, os, re, resource, signal, socket, subprocess, threading, time

from rig import OCI_INDEX, Daemon, basic, percentile, sha256


def limit(words):
    def mark(attack):
        attack.limit = words
        return attack

    return mark


class Watch:
    """Another client, which repeats one request and records how long each takes."""

    def __init__(self, daemon, method, path, source="127.0.9.9", headers=None, pause=0.05):
        self.seconds, self.refused, self.going = [], 0, True
        arguments = (daemon, method, path, source, headers, pause)
        self.thread = threading.Thread(target=self.look, args=arguments, daemon=True)
        self.thread.start()

    def look(self, daemon, method, path, source, headers, pause):
        while self.going:
            began = time.monotonic()
            try:
                status = daemon.ask(method, path, b"", headers, source, 60)[0]
            except OSError:
                status = 0
            self.seconds.append(time.monotonic() - began)
            self.refused += status != 200
            time.sleep(pause)

    def end(self):
        self.going = False
        self.thread.join(60)
        return self


def together(number, work):
    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(number)]
    [thread.start() for thread in threads]
    [thread.join(120) for thread in threads]


@limit("5 ms of CPU a request; others' reads p95 250 ms")
def tokens():
    """Tokens for 100 scopes with long names, under 10,000 rules."""
    rules = [{"repository": f"a/*/c{i}/**/z", "users": ["*"], "permissions": ["pull"]} for i in range(10_000)]
    rules.append({"repository": "**", "users": ["u"], "permissions": ["pull", "push"]})
    with Daemon(["u"], rules={"rules": rules}, REGISTRY_AUTH_TOKEN_SIGNINGKEY="auto") as daemon:
        daemon.push_image("app", "v1", **basic("u"))
        names = ["/".join(["a", "b", "c"] + ["x"] * 60 + [str(i)])[:180] for i in range(60)]
        path = "/auth/token?" + "&".join(f"scope=repository:{name}:pull" for name in names)
        watch = Watch(daemon, "GET", "/v2/app/manifests/v1", headers=basic("u"))
        before, asked, statuses = daemon.cpu(), 100, set()

        def client(number):
            for _ in range(asked // 4):
                statuses.add(daemon.ask("GET", path, b"", basic("u"), f"127.0.1.{number + 1}")[0])

        together(4, client)
        cpu = (daemon.cpu() - before) / asked * 1e3
        watch.end()
        p95 = percentile(watch.seconds, 0.95) * 1e3
        figure = f"{cpu:.1f} ms of CPU, answers {sorted(statuses)}; others {p95:.0f} ms"
        return figure, cpu <= 5 and p95 <= 250 and watch.refused == 0


@limit("all answered; ends within the drain time")
def unread_log():
    """A log that nobody reads."""
    reading, writing = os.pipe()
    with Daemon(stdout=writing, settings="[server]\ndrain_seconds = 5\n") as daemon:
        os.close(writing)
        answered = sum(daemon.ask("GET", "/v2/")[0] == 200 for _ in range(5000))
        healthy = daemon.ask("GET", "/health")[0] == 200
        ended = daemon.end(30)
    os.close(reading)
    figure = f"{answered} of 5000 answered, ended after {ended and round(ended, 1)} s"
    return figure, answered == 5000 and healthy and ended is not None and ended <= 8


@limit("refused to everyone but this machine")
def forwarded():
    """A stranger behind a trusted proxy who claims to be on this machine."""
    with Daemon(["u"], REGISTRY_TRUSTED_PROXIES="127.0.0.1") as daemon:
        tries = [
            {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=127.0.0.1"},
            {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"},
            {"X-Forwarded-For": "127.0.0.1"},
            {"Forwarded": "for=127.0.0.1"},
            {"X-Real-IP": "127.0.0.1"},
            {"Via": "1.1 x"},
        ]
        statuses = [daemon.ask("GET", "/metrics", b"", headers)[0] for headers in tries]
        return f"metrics: {statuses}", all(status in (401, 403) for status in statuses)


@limit("first login 3 s; a client at work is never refused")
def guesses():
    """Bursts of wrong passwords from many addresses, while others log in."""
    with Daemon([f"u{i}" for i in range(12)], cost=10) as daemon:
        for _ in range(3):
            assert daemon.ask("GET", "/v2/", b"", basic("u0"))[0] == 200
        watch, going, sent, firsts = Watch(daemon, "GET", "/v2/", headers=basic("u0")), [True], [0], []

        def guess(number):
            turn = 0
            while going[0]:
                turn += 1
                source = f"127.{10 + number}.{turn % 200}.7"
                try:
                    daemon.ask("GET", "/v2/", b"", basic(f"nobody{turn % 50}"), source, 60)
                except OSError:
                    pass
                sent[0] += 1

        threads = [threading.Thread(target=guess, args=(i,), daemon=True) for i in range(48)]
        [thread.start() for thread in threads]
        time.sleep(3)
        for i in range(1, 12):
            began = time.monotonic()
            status = daemon.ask("GET", "/v2/", b"", basic(f"u{i}"), f"127.200.{i}.1", 60)[0]
            firsts.append(time.monotonic() - began if status == 200 else 99)
            time.sleep(0.3)
        going[0] = False
        watch.end()
        slowest = max(firsts)
        figure = f"slowest of 11 first logins {slowest * 1e3:.0f} ms among {sent[0]} guesses; at work: {watch.refused} refused"
        return figure, slowest <= 3 and watch.refused == 0


@limit("384 MiB; others are served")
def memory():
    """All ways in which clients make the daemon hold bytes, at once (tests/memory/held.py)."""
    from rig import BINARY

    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../memory/held.py")
    out = subprocess.run(["python3", script, BINARY], capture_output=True, text=True, timeout=300)
    peak = re.search(r"^peak\s+(\d+) MiB", out.stdout, re.M)
    return f"peak {peak and peak[1]} MiB", out.returncode == 0


@limit("others are served, health always")
def idle():
    """10,000 idle connections from one host."""
    with Daemon() as daemon:
        held = []
        for _ in range(10_000):
            try:
                held.append(daemon.connect("127.0.0.2", 5))
            except OSError:
                break
        others = [daemon.ask("GET", "/v2/", source=f"127.0.0.{3 + i % 200}")[0] for i in range(100)]
        health = daemon.ask("GET", "/health", source="127.0.0.2")[0]
        [stream.close() for stream in held]
        served = others.count(200)
        return f"{len(held)} held; {served} of 100 others served; health {health}", served == 100 and health == 200


@limit("10 ms of CPU a request; others p95 250 ms")
def referrers():
    """An index of 9,999 made-up entries under a referrers tag."""
    with Daemon() as daemon:
        subject = daemon.push_image("app", "v1")
        entry = lambda i: {"mediaType": "a/b", "digest": "sha256:" + f"{i:064x}", "size": 1, "artifactType": "x/y"}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(i) for i in range(9_999)]}
        daemon.push_manifest("app", subject.replace(":", "-"), index)
        watch, before, asked = Watch(daemon, "GET", "/v2/app/manifests/v1"), daemon.cpu(), 200
        together(4, lambda i: [daemon.ask("GET", f"/v2/app/referrers/{subject}") for _ in range(asked // 4)])
        cpu = (daemon.cpu() - before) / asked * 1e3
        p95 = percentile(watch.end().seconds, 0.95) * 1e3
        return f"{cpu:.1f} ms of CPU; others {p95:.0f} ms", cpu <= 10 and p95 <= 250


@limit("twice the blob at most")
def ranges():
    """128 overlapping ranges of one blob."""
    with Daemon() as daemon:
        blob = daemon.push_blob("app", os.urandom(1 << 20))
        spans = ",".join(f"{i}-" for i in range(128))
        status, body, _ = daemon.ask("GET", f"/v2/app/blobs/{blob['digest']}", b"", {"Range": f"bytes={spans}"})
        return f"{status}, {len(body) / (1 << 20):.2f} times the blob", len(body) <= 2 << 20


@limit("others reload; ends within 8 s")
def fifo():
    """A configuration file that is replaced by a pipe that nobody writes to."""
    rules = {"rules": [{"repository": "**", "users": ["*"], "permissions": ["pull", "push"]}]}
    with Daemon(["u"], rules=rules, settings="[server]\ndrain_seconds = 5\n") as daemon:
        daemon.push_image("app", "v1", **basic("u"))
        os.remove(daemon.path("htpasswd"))
        os.mkfifo(daemon.path("htpasswd"))
        daemon.write("rules.json", json.dumps({"rules": [{"repository": "**", "users": ["*"], "permissions": []}]}))
        daemon.process.send_signal(signal.SIGHUP)
        began, status = time.monotonic(), 200
        while status == 200 and time.monotonic() - began < 20:
            status = daemon.ask("GET", "/v2/app/manifests/v1", b"", basic("u"))[0]
            time.sleep(0.05)
        reloaded, ended = time.monotonic() - began, daemon.end(30)
        figure = f"other file in force after {reloaded:.1f} s ({status}), ended after {ended and round(ended, 1)} s"
        return figure, status == 403 and ended is not None and ended <= 8


@limit("the pull completes")
def paused():
    """A machine that sleeps longer than the stall limit, in the middle of a pull."""
    with Daemon(settings="[server]\ndownload_stall_seconds = 3\n") as daemon:
        content = os.urandom(64 << 20)
        digest = daemon.push_blob("app", content)["digest"]
        stream = daemon.connect()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        stream.sendall(f"GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = len(stream.recv(65536))
        time.sleep(1)
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(6)
        daemon.process.send_signal(signal.SIGCONT)
        while part := stream.recv(1 << 20):
            got += len(part)
        return f"{got} bytes of {len(content)} and a head", got > len(content)


@limit("no 500; served afterwards")
def descriptors():
    """200 connections with a limit of 64 descriptors."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with Daemon(before=few) as daemon:
        daemon.push_image("app", "v1")
        statuses = []

        def client(number):
            try:
                statuses.append(daemon.ask("GET", "/v2/app/manifests/v1", source=f"127.0.3.{number + 1}", timeout=10)[0])
            except OSError:
                statuses.append(0)

        together(200, client)
        wrong = sum(status >= 500 and status != 503 for status in statuses)
        after = daemon.ask("GET", "/v2/app/manifests/v1")[0]
        figure = f"{statuses.count(200)} served, {statuses.count(503)} 503, {statuses.count(0)} closed, {wrong} 5xx; then {after}"
        return figure, wrong == 0 and after == 200 and statuses.count(200) > 0


@limit("507 or 413; it lives")
def file_size():
    """A push beyond the process's limit on the size of files (SIGXFSZ)."""
    small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))
    with Daemon(before=small) as daemon:
        content = os.urandom(16 << 20)
        try:
            status = daemon.ask("POST", f"/v2/app/blobs/uploads/?digest={sha256(content)}", content)[0]
        except OSError as error:
            status = str(error)
        alive = daemon.ask("GET", "/v2/")[0]
        return f"push {status}, then {alive}", status in (507, 413) and alive == 200


@limit("ends within 3 s")
def half_heads():
    """500 clients who never end their request's head, at shutdown."""
    with Daemon(settings="[server]\nshutdown_lag_seconds = 0\ndrain_seconds = 30\n") as daemon:
        held = [daemon.connect(f"127.0.4.{i % 200 + 1}") for i in range(500)]
        [stream.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-") for stream in held]
        time.sleep(0.5)
        ended = daemon.end(60)
        return f"ended after {ended and round(ended, 1)} s", ended is not None and ended <= 3


@limit("answered; ambiguous lengths 400")
def heads():
    """Half-closed clients, and heads with two lengths in two packets."""
    with Daemon() as daemon:
        stream = daemon.connect()
        stream.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        stream.shutdown(socket.SHUT_WR)
        half_closed = stream.recv(4096)[9:12].decode()
        answers = []
        for first, second in [
            (b"Content-Length: 0\r\n", b"Content-Length: 5\r\n"),
            (b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
            (b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n"),
        ]:
            stream = daemon.connect()
            stream.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\nPOST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n" + first)
            time.sleep(0.2)
            stream.sendall(second + b"\r\n0\r\n\r\n")
            time.sleep(0.3)
            answers.append(re.findall(rb"HTTP/1.1 (\d+)", stream.recv(1 << 16))[1].decode())
        return f"half-closed {half_closed}, two lengths {answers}", half_closed == "200" and set(answers) == {"400"}
