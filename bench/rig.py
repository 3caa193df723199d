"""What the scenarios stand on: processes that end with us, free ports, nginx, Redis, the server under test, /proc."""
import atexit, contextlib, http.client, json, os, pathlib, re, shutil, socket, ssl, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = HERE / "out"
BUILD = ROOT / "build" / "release"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
HOOKLINE = pathlib.Path(os.environ.get("HOOKLINE_BIN") or BUILD / "src" / "main" / "hookline")

BODY_BYTES = 1024   # of a delivered request
CONNECTIONS = 64


class Failed(Exception):
    """A scenario could not be measured; the message says why."""


# ---- processes and places

_running = []
_scratch = None


def scratch():
    """A fresh directory on a real disk, removed at the end."""
    global _scratch
    if _scratch is None:
        OUT.mkdir(exist_ok=True)
        _scratch = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=OUT))
    return pathlib.Path(tempfile.mkdtemp(dir=_scratch))


def start(argv, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.DEVNULL)
    p = subprocess.Popen([str(a) for a in argv], **options)
    _running.append(p)
    return p


def stop(p, grace=10):
    if p.stdin:
        p.stdin.close()
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(grace)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    if p in _running:
        _running.remove(p)


def run(argv, timeout=120, **options):
    """The output of a program that must succeed."""
    p = start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failed(f"{argv[0]}: no end within {timeout} s") from None
    finally:
        stop(p)
    if p.returncode:
        raise Failed(f"{pathlib.Path(str(argv[0])).name}: exit {p.returncode}: {(err or out).strip()[-400:]}")
    return out


def stop_all():
    for p in list(_running):
        with contextlib.suppress(OSError):
            stop(p, 5)


def cleanup():
    stop_all()
    if _scratch:
        shutil.rmtree(_scratch, ignore_errors=True)


atexit.register(cleanup)


def free_port(host="127.0.0.1"):
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def wait_until(what, condition, seconds):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.005)


# ---- building

def build():
    if os.environ.get("HOOKLINE_BIN"):
        print(f"using {HOOKLINE}")
    else:
        if not (BUILD / "build.ninja").exists():
            run(["meson", "setup", BUILD, ROOT, "--buildtype=release", "-Dtests=false"], 300)
        run(["ninja", "-C", BUILD], 900)
    for source in sorted((HERE / "load").glob("*.c")):
        program = OUT / source.stem
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            run(["cc", "-O2", "-Wall", "-Wextra", "-o", program, source], 120)


# ---- nginx: the receiver everybody posts to

class Nginx:
    """Answers 204 to everything and counts. A whole request fits its first read: one read and one write each."""

    def __init__(self, tls=False):
        self.dir, self.port, self.tls, self.polls = scratch(), free_port(), tls, 0
        secure = ""
        if tls:
            self.cert = self.dir / "cert.pem"
            run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.dir / "key.pem",
                 "-out", self.cert])
            secure = (f"ssl_certificate {self.cert}; ssl_certificate_key {self.dir}/key.pem; "
                      "ssl_session_cache shared:s:1m;")
        self.status_port = free_port()
        temps = " ".join(f"{n}_temp_path {self.dir}/{n};" for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.dir / "nginx.conf").write_text(f"""
daemon off; master_process off; worker_processes 1; pid {self.dir}/pid; error_log {self.dir}/error.log error;
events {{ worker_connections 8192; }}
http {{ {temps} access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_header_buffer_size 8k; client_body_buffer_size 64k; client_max_body_size 4m;
  server {{ listen 127.0.0.1:{self.port}{' ssl' if tls else ''} backlog=4096; {secure} location / {{ return 204; }} }}
  server {{ listen 127.0.0.1:{self.status_port}; location / {{ stub_status; }} }} }}
""")
        self.process = start([NGINX, "-p", self.dir, "-c", self.dir / "nginx.conf"],
                             stderr=subprocess.DEVNULL)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.status = None
        wait_until("nginx", lambda: accepts(self.status_port), 5)
        self.count()

    def count(self):
        """Requests received so far."""
        if self.status is None:
            self.status = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=10)
        self.status.request("GET", "/")
        text = self.status.getresponse().read().decode()
        self.polls += 1
        return int(text.split("\n")[2].split()[2]) - self.polls

    def stop(self):
        if self.status:
            self.status.close()
        stop(self.process)


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Sink:
    """bench/load/sink.c"""

    def __init__(self, mode):
        self.port = free_port("0.0.0.0")
        self.process = start([OUT / "sink", self.port, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def stats(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        c.request("GET", "/stats")
        answer = json.loads(c.getresponse().read())
        c.close()
        return answer

    def stop(self):
        stop(self.process)


# ---- Redis

class Redis:
    def __init__(self, fsync):
        self.dir, self.port = scratch(), free_port()
        self.process = start(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.dir,
                              "--appendonly", "yes", "--appendfsync", fsync, "--save", "", "--maxmemory-policy", "noeviction"])
        wait_until("redis", lambda: accepts(self.port), 5)

    def settle(self):
        """Waits until no rewrite of the log goes on behind the answers: it would be counted against whoever is next."""
        def idle():
            with socket.create_connection(("127.0.0.1", self.port)) as s:
                s.sendall(b"INFO persistence\r\nQUIT\r\n")
                info = b"".join(iter(lambda: s.recv(65536), b""))
            return b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info
        wait_until("redis: rewriting its log", idle, 60)

    def stop(self):
        stop(self.process)
        shutil.rmtree(self.dir, ignore_errors=True)


# ---- the server under test

class Server:
    """`hookline serve` on a data directory of its own, with a key and a kept API connection."""

    def __init__(self, settings=(), wrapper=(), directory=None, key=None):
        self.dir, self.port = directory or scratch() / "data", free_port()
        # every file of the bench is on loopback, which the egress rule refuses unless told
        self.settings = {"egress.allow_networks": "127.0.0.0/8", "log.level": "error", **dict(settings)}
        self.key = key or run([HOOKLINE, "key", "create", "--data", self.dir, "--scope", "admin"]).strip()
        self.api = None
        self.launch(wrapper)

    def launch(self, wrapper=()):
        argv = [*wrapper, HOOKLINE, "serve", "--allow-root", "--data", self.dir, "--listen", f"127.0.0.1:{self.port}"]
        for name, value in self.settings.items():
            argv += ["--set", f"{name}={value}"]
        began = time.monotonic()
        self.errors = open(self.dir / "bench.log", "ab")
        self.process = start(argv, stderr=self.errors)
        wait_until("hookline: /readyz", self.ready, 60)
        self.start_s = time.monotonic() - began

    def ready(self):
        if self.process.poll() is not None:
            raise Failed("hookline ended: " + (self.dir / "bench.log").read_text(errors="replace")[-400:])
        try:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            c.request("GET", "/readyz")
            return c.getresponse().status == 200
        except OSError:
            return False
        finally:
            c.close()

    def call(self, method, path, body=None):
        for fresh in (self.api is None, True):
            if fresh:
                self.api = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.api.connect()
                self.api.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self.api.request(method, path, json.dumps(body) if body is not None else None,
                                 {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
                answer = self.api.getresponse()
                text = answer.read()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if fresh:
                    raise Failed("hookline hung up") from None
        if answer.status >= 300:
            raise Failed(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else None

    def webhook(self, url, **members):
        return self.call("POST", "/v1/webhooks", {"url": url, **members})["id"]

    def publish(self, data, type="bench.event"):
        return self.call("POST", "/v1/events", {"type": type, "data": data})

    def webhooks(self, bodies, threads=16):
        """Registers many: over several connections, so that they share commits."""
        import threading
        bodies, failures, lock = list(bodies), [], threading.Lock()

        def work():
            api = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            head = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            try:
                while True:
                    with lock:
                        if not bodies or failures:
                            return
                        body = bodies.pop()
                    api.request("POST", "/v1/webhooks", json.dumps(body), head)
                    answer = api.getresponse()
                    text = answer.read()
                    if answer.status != 201:
                        failures.append(text[:300])
            except OSError as e:
                failures.append(e)
            finally:
                api.close()
        crew = [threading.Thread(target=work) for _ in range(threads)]
        [t.start() for t in crew]
        [t.join() for t in crew]
        if failures:
            raise Failed(f"POST /v1/webhooks: {failures[0]!r}")

    def memory(self):
        """MiB of the process: its own (anon) and the mapped store (file)."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return {k: round(int(re.search(rf"^{n}:\s+(\d+)", status, re.M)[1]) / 1024, 1)
                for k, n in (("anon_mib", "RssAnon"), ("file_mib", "RssFile"))}

    def cpu_s(self):
        """Processor seconds so far of the loop's thread and of the others (storage)."""
        out = {"loop": 0, "storage": 0}
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            who = "loop" if int(task.name) == self.process.pid else "storage"
            out[who] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return out

    def wakeups(self):
        """Voluntary context switches of all threads so far: each one is a sleep that ended."""
        return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (t / "status").read_text(), re.M)[1])
                   for t in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir())

    def halt(self):
        if self.api:
            self.api.close()
            self.api = None
        stop(self.process, 40)
        self.errors.close()

    def stop(self):
        self.halt()
        shutil.rmtree(self.dir, ignore_errors=True)


# ---- wrk

def wrk(url, seconds, body, connections, path, headers):
    """Posts the same request over and over. Returns requests answered 2xx, seconds, rate, latency percentiles in ms."""
    script = scratch() / "post.lua"
    quote = lambda s: json.dumps(s)  # ASCII JSON strings are Lua strings
    script.write_text(f"wrk.method='POST'\nwrk.body={quote(body)}\n" +
                      "".join(f"wrk.headers[{quote(k)}]={quote(v)}\n" for k, v in headers.items()))
    out = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, url + path], seconds + 60)
    done, bad = int(re.search(r"(\d+) requests in", out)[1]), re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    if errors and any(map(int, errors.groups())):
        raise Failed("wrk: " + errors[0])
    bad = int(bad[1]) if bad else 0
    took = re.search(r"requests in ([\d.]+)(m?s|m)", out)
    took = float(took[1]) * {"ms": 0.001, "s": 1, "m": 60}[took[2]]
    ms = lambda q: (lambda m: float(m[1]) * {"us": 0.001, "ms": 1, "s": 1000}[m[2]])(
        re.search(rf"^\s+{q}%\s+([\d.]+)(us|ms|s)$", out, re.M))
    return {"ok": done - bad, "bad": bad, "seconds": took, "rate": (done - bad) / took, "p50_ms": ms(50),
            "p99_ms": ms(99)}


def caught(server):
    """One delivered request as the server sends it: (headers, body), for the yardstick to post the same bytes."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        s.settimeout(20)
        hook = server.webhook(f"http://127.0.0.1:{s.getsockname()[1]}/")
        server.publish(event_data())
        peer, _ = s.accept()
        with peer:
            peer.settimeout(10)
            data = b""
            while b"\r\n\r\n" not in data:
                data += peer.recv(65536)
            head, body = data.split(b"\r\n\r\n", 1)
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
            length = next(int(v) for k, v in headers.items() if k.lower() == "content-length")
            while len(body) < length:
                body += peer.recv(65536)
            peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            time.sleep(0.1)
    server.call("DELETE", f"/v1/webhooks/{hook}")
    skip = ("host", "content-length", "connection")
    return {k: v for k, v in headers.items() if k.lower() not in skip}, body.decode()


def event_data(size=BODY_BYTES - 130):
    """Published data that makes a delivered body of about BODY_BYTES."""
    return {"order": 18446744073709551615, "fill": "x" * (size - 45)}


# ---- what was measured on

def machine():
    first = lambda *argv: subprocess.run(argv, capture_output=True, text=True).stdout.strip().split("\n")[0]
    cpu = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    mem = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    nginx = subprocess.run([NGINX, "-v"], capture_output=True, text=True).stderr.strip()
    bullmq = HERE / "node_modules" / "bullmq" / "package.json"
    return {
        "cpu": cpu[1] if cpu else os.uname().machine, "cores": len(os.sched_getaffinity(0)),
        "memory_mib": int(mem[1]) // 1024,
        "kernel": re.match(r"[\d.]+", os.uname().release)[0], "filesystem": first("stat", "-f", "-c", "%T", str(HERE)),
        "versions": {
            "hookline": first(str(HOOKLINE), "version"), "nginx": nginx.removeprefix("nginx version: "),
            "wrk": first("dpkg-query", "-W", "-f", "${Version}", "wrk"), "redis": first("redis-server", "--version"),
            "node": first("node", "--version"),
            "bullmq": json.loads(bullmq.read_text())["version"] if bullmq.exists() else "",
            "openssl": ssl.OPENSSL_VERSION, "python": sys.version.split()[0],
        },
        "durability": {
            "hookline": "each 202 after its commit's fdatasync (LMDB, MDB_NOTLS|MDB_NORDAHEAD, no relaxing flag)",
            "redis": "AOF on; appendfsync as named in each row", "bullmq": "its jobs in that Redis",
        },
    }


def others_busy():
    """The share of the processors that others use, while nothing of ours runs."""
    def ticks():
        return [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    a = ticks()
    time.sleep(1)
    spent = [y - x for x, y in zip(a, ticks())]
    return round(1 - (spent[3] + spent[4]) / max(1, sum(spent[:8])), 2)


def fsync_us(n=200):
    """Microseconds of an fdatasync of 4 KiB here: it decides most of the durable figures."""
    path = scratch() / "fsync"
    with open(path, "wb", buffering=0) as f:
        f.write(b"\0" * 4096 * n)
        os.fsync(f.fileno())
        f.seek(0)
        took = []
        for _ in range(n):
            f.write(b"\1" * 4096)
            t = time.perf_counter()
            os.fdatasync(f.fileno())
            took.append(time.perf_counter() - t)
    return round(sorted(took)[n // 2] * 1e6)
