"""Starting and stopping the program in tests, and talking to it. Standard library only.

    with Server(binary) as s:                   # own data directory, port of the kernel's choice, log in s.log()
        s.api("POST", "/v1/webhooks", {"url": …})
        s.hookline("publish", "order.created")  # any command, with HOOKLINE_URL and HOOKLINE_KEY set
        s.kill()                                # SIGKILL; s.start() again on the same directory
"""
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time


# Words before every command of the program: a tool that watches it, e.g. valgrind (tools/test --valgrind).
WRAPPER = shlex.split(os.environ.get("HOOKLINE_WRAPPER", ""))

# What a sanitizer writes to the log of a server, whose exit code not every test looks at.
SANITIZER = re.compile(r"(?:ERROR|WARNING): (?:Address|Leak|Thread)Sanitizer|: runtime error: ")


def clean_env(**more):
    """The environment without what would configure Hookline by accident."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("HOOKLINE_", "NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_", "CREDENTIALS_"))}
    if WRAPPER:
        env["HOOKLINE_STORE_MAX_SIZE"] = "8GiB"      # valgrind has no room for a larger map of the store
    env.update(more)
    return env


def run(binary, *args, env=None, stdin=None, timeout=60, allow_root=True):
    """A command that ends: (exit code, stdout, stderr). Tests may run as root, which serve does not do unasked."""
    args = ["serve", "--allow-root", *args[1:]] if allow_root and args[:1] == ("serve",) else args
    p = subprocess.run(WRAPPER + [binary] + list(args), capture_output=True, text=True, input=stdin, timeout=timeout,
                       env=env or clean_env())
    return p.returncode, p.stdout, p.stderr


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Server:
    def __init__(self, binary, *args, data=None, loopback=True, env=None, pass_fds=(), preexec_fn=None):
        """args: further arguments of serve. loopback: receivers on this machine may be reached."""
        self.binary, self.args, self.env = binary, list(args), env or clean_env()
        self.own = tempfile.mkdtemp(prefix="hls-", dir="/tmp") if data is None else None
        self.data = data or os.path.join(self.own, "d")
        self.logfile = os.path.join(self.own or data, "server.log")
        if loopback:
            self.args += ["--set", "egress.allow_networks=127.0.0.0/8"]
        self.pass_fds, self.preexec_fn = pass_fds, preexec_fn
        self.process = None
        self.may_report = False  # a sanitizer
        self.port = None
        self._key = None

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *exc):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        look = not any(exc) and not self.may_report and os.path.exists(self.logfile) # a test may have taken it away
        report = SANITIZER.search(self.log(all_runs=True)) if look else None
        if self.own:
            shutil.rmtree(self.own, ignore_errors=True)
        if report:
            raise AssertionError("a sanitizer's report:\n" + report.string[report.start():][:6000])

    def start(self, wait=True, listen=("127.0.0.1:0",)):
        with open(self.logfile, "ab") as log:
            self.mark = log.tell()
            command = WRAPPER + [self.binary, "serve", "--allow-root", "--data", self.data]
            command += [x for l in listen for x in ("--listen", l)] + self.args
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                                            env=self.env, pass_fds=self.pass_fds, preexec_fn=self.preexec_fn)
        if wait:
            self.wait_log("ev=serve.ready")
            m = re.search(r"ev=serve\.listening address=127\.0\.0\.1:(\d+)", self.log())
            self.port = int(m.group(1)) if m else None
        return self

    def log(self, all_runs=False):
        with open(self.logfile, encoding="utf-8", errors="replace") as f:
            f.seek(0 if all_runs else self.mark)
            return f.read()

    def wait_log(self, text, timeout=30):
        end = time.monotonic() + timeout
        while text not in self.log():
            if self.process.poll() is not None:
                if text in self.log():
                    return
                raise RuntimeError("the server ended with %d:\n%s" % (self.process.returncode, self.log()))
            if time.monotonic() > end:
                raise TimeoutError("%r is not in the log:\n%s" % (text, self.log()))
            time.sleep(0.01)

    def stop(self, sig=signal.SIGTERM, timeout=30):
        """Ends it and returns the exit code."""
        self.process.send_signal(sig)
        return self.process.wait(timeout)

    def kill(self):
        self.process.kill()
        self.process.wait()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    @property
    def control(self):
        return os.path.join(self.data, "control.sock")

    @property
    def key(self):
        """An admin key, made on first use."""
        if not self._key:
            code, out, err = run(self.binary, "key", "create", "--data", self.data, "--scope", "admin,publish,manage,read",
                                 env=self.env)
            if code:
                raise RuntimeError("key create: " + err)
            self._key = out.strip()
        return self._key

    def request(self, method, path, body=None, headers=None, unix=None, timeout=30):
        """(status, headers, body bytes). body: bytes, str, or something to be made JSON."""
        c = UnixConnection(unix, timeout) if unix else http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        h = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            h.setdefault("Content-Type", "application/json")
        try:
            c.request(method, path, body, h)
            a = c.getresponse()
            return a.status, {k.lower(): v for k, v in a.getheaders()}, a.read()
        finally:
            c.close()

    def api(self, method, path, body=None, headers=None, want=None, key=None):
        """(status, decoded JSON or None) with the admin key. want: the status that must come."""
        h = {"Authorization": "Bearer " + (key or self.key)}
        h.update(headers or {})
        status, _, text = self.request(method, path, body, h)
        if want is not None and status != want:
            raise AssertionError("%s %s: %d instead of %d: %s" % (method, path, status, want, text[:500]))
        return status, json.loads(text) if text else None

    def hookline(self, *args, stdin=None):
        env = dict(self.env, HOOKLINE_KEY=self.key)
        if self.port:
            env["HOOKLINE_URL"] = self.url
        return run(self.binary, *args, env=env, stdin=stdin)
