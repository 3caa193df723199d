"""What the tests of this folder share: the server of tests/lib/program.py with a client that keeps its connection, both
npm verifiers, and a test case that has a server and a receiver.

Waiting is never sleeping for a fixed time: until(test) asks again until the test holds or its deadline has passed."""
import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import program  # noqa: E402
from program import clean_env  # noqa: E402,F401
from receiver import Receiver, make_certs, verify  # noqa: E402,F401  (the tests' vocabulary)

PROGRAM = os.environ.get("HOOKLINE_PROGRAM") or os.path.join(ROOT, "build", "gcc", "src", "main", "hookline")
WRAPPED = bool(program.WRAPPER)                     # under valgrind: 20 to 50 times slower
SANITIZED = os.environ.get("HOOKLINE_SANITIZED") == "yes" or WRAPPED
PATIENCE = 60 if SANITIZED else 20
SCOPES = "admin,publish,manage,read"


def until(test, what="the condition", timeout=PATIENCE, every=0.01):
    """The first true value of test()."""
    end = time.monotonic() + timeout
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("%s did not come true within %d s" % (what, timeout))
        time.sleep(every)


def run(*args, env=None, stdin=None, timeout=120):
    """One command of the program: its exit code, stdout, stderr."""
    return program.run(PROGRAM, *[str(a) for a in args], env=env, stdin=stdin, timeout=timeout)


class Server(program.Server):
    """Listens on a port and on a unix socket; settings are {"section.key": value}."""

    def __init__(self, data=None, settings=None, args=(), **kw):
        flags = [x for k, v in (settings or {}).items() for x in ("--set", "%s=%s" % (k, v))]
        program.Server.__init__(self, PROGRAM, *(flags + list(args)), data=data, **kw)
        self.unix = os.path.join(os.path.dirname(self.data), "http.sock")
        self.generation = 0

    def start(self, wait=True, listen=None):
        self.generation += 1
        program.Server.start(self, False, listen or ("127.0.0.1:0", "unix:" + self.unix))
        return self.ready() if wait else self

    def ready(self):
        self.wait_log("ev=serve.ready", PATIENCE * 3)
        found = re.search(r"ev=serve\.listening address=127\.0\.0\.1:(\d+)", self.log())
        self.port = int(found.group(1)) if found else None
        return self

    def make_key(self, scope=SCOPES, account=None, *more):
        args = ["key", "create", "--data", self.data, "--scope", scope] + list(more) + (["--account", account] if account else [])
        code, out, err = run(*args)
        if code:
            raise AssertionError("key create: %d %s" % (code, err))
        return out.strip()

    def client(self, scope=SCOPES, account=None, key=None, unix=None):
        """With a new key unless one is given; all-powerful clients share one."""
        if key is None:
            key = self.key if scope == SCOPES and account is None else self.make_key(scope, account)
        return Client(self, key, unix)

    def stop(self, sig=signal.SIGTERM, timeout=PATIENCE + 25):
        return program.Server.stop(self, sig, timeout)

    def restart(self):
        self.stop()
        return self.start()

    def status(self, name):
        """A line of /proc/PID/status in KiB, e.g. RssAnon."""
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(name + ":"))

    def check(self):
        return run("check", self.data)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %r" % (self.status, self.body[:600])


class Client:
    """One connection per thread, kept; a new one after the server was started again."""

    def __init__(self, server, key, unix=None):
        """unix: a socket to speak through instead of the port."""
        self.server, self.key, self.unix = server, key, unix
        self.local = threading.local()
        self.headers = {"Authorization": "Bearer " + key} if key else {}

    def connection(self):
        if getattr(self.local, "of", None) != self.server.generation:
            self.close()
            if self.unix:
                self.local.c = program.UnixConnection(self.unix, PATIENCE + 20)
            else:
                self.local.c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE + 20)
            self.local.of = self.server.generation
        return self.local.c

    def close(self):
        if getattr(self.local, "c", None):
            self.local.c.close()
        self.local.of = None

    def request(self, method, path, body=None, headers=None, content_type="application/json"):
        """body: bytes as they are, anything else as JSON."""
        h = dict(self.headers)
        if body is not None:
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
            if content_type:
                h["Content-Type"] = content_type
        h.update(headers or {})
        used = getattr(self.local, "of", None) == self.server.generation
        try:
            return self.exchange(method, path, body, h)
        except (ConnectionError, http.client.RemoteDisconnected):
            if not used or method not in ("GET", "HEAD"):
                raise
            return self.exchange(method, path, body, h)     # the server had closed an idle connection

    def exchange(self, method, path, body, headers):
        try:
            c = self.connection()
            c.request(method, path, body, headers)
            r = c.getresponse()
            got = Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
            if r.will_close:
                self.close()
            return got
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body, **kw)

    def patch(self, path, body, **kw):
        return self.request("PATCH", path, body, **kw)

    def put(self, path, body, **kw):
        return self.request("PUT", path, body, **kw)

    def delete(self, path, **kw):
        return self.request("DELETE", path, **kw)

    # ---- what most tests begin with; each raises when refused ----

    def webhook(self, url, **members):
        a = self.post("/v1/webhooks", dict({"url": url}, **members))
        if a.status != 201:
            raise AssertionError("webhook: %r" % a)
        return a.json

    def publish(self, type="test.event", data=None, **members):
        a = self.post("/v1/events", dict({"type": type, "data": {} if data is None else data}, **members))
        if a.status != 202:
            raise AssertionError("publish: %r" % a)
        return a.json

    def deliveries(self, **filters):
        query = "&".join("%s=%s" % kv for kv in filters.items())
        a = self.get("/v1/deliveries?limit=250" + ("&" + query if query else ""))
        if a.status != 200:
            raise AssertionError("deliveries: %r" % a)
        return a.json["data"]

    def delivery(self, id):
        return self.get("/v1/deliveries/" + id).json

    def wait_deliveries(self, status, n=1, timeout=PATIENCE, **filters):
        """Until n deliveries have the status; returns them."""
        found = []

        def enough():
            found[:] = self.deliveries(status=status, **filters)
            return len(found) >= n
        try:
            until(enough, "%d deliveries %s" % (n, status), timeout)
        except AssertionError as e:
            raise AssertionError("%s; there are %s" % (e, json.dumps(self.deliveries(**filters))[:1500]))
        return found


class Verifier:
    """Both npm packages, in a node process of their own."""
    one = None

    def __init__(self):
        folder = os.path.join(HERE, "node_modules", "svix")
        if not os.path.isdir(folder):
            raise AssertionError("the npm packages of tests/e2e are missing: tools/deps install test")
        self.process = subprocess.Popen(["node", os.path.join(HERE, "verifier.mjs")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    @classmethod
    def verdicts(cls, secret, record):
        """{"standardwebhooks": "ok" or why not, "svix": …} for one record of a receiver."""
        if cls.one is None:
            cls.one = cls()
        line = {"secret": secret, "headers": record["headers"], "body": base64.b64encode(record["body"]).decode()}
        cls.one.process.stdin.write(json.dumps(line).encode() + b"\n")
        cls.one.process.stdin.flush()
        return json.loads(cls.one.process.stdout.readline())

    @classmethod
    def stop(cls):
        if cls.one:
            cls.one.process.stdin.close()
            cls.one.process.wait(10)
            cls.one.process.stdout.close()
            cls.one = None


def message_complaints(messages):
    """What the types of discord-api-types and @grammyjs/types object to in [(platform, body), …]."""
    if not os.path.isdir(os.path.join(HERE, "node_modules", "typescript")):
        raise AssertionError("the npm packages of tests/e2e are missing: tools/deps install test")
    asked = json.dumps([{"platform": p, "body": b} for p, b in messages])
    out = subprocess.run(["node", os.path.join(HERE, "typecheck.mjs")], input=asked.encode(), capture_output=True, timeout=PATIENCE * 3)
    if out.returncode:
        raise AssertionError("typecheck.mjs: %s" % out.stderr.decode())
    return json.loads(out.stdout)


GOOD = {"standardwebhooks": "ok", "svix": "ok"}


class Case(unittest.TestCase):
    """A server and a receiver per class. settings, server_args: of the server."""
    settings = {}
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.receiver = Receiver().start()
        cls.addClassCleanup(cls.receiver.stop)
        cls.addClassCleanup(Verifier.stop)
        cls.server = Server(settings=cls.settings)
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.start()
        cls.api = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        """Whatever the tests did, the server ends in order and its store is sound."""
        code = cls.server.stop()
        assert code == 0, "exit code %s\n%s" % (code, cls.server.log()[-3000:])
        code, out, err = cls.server.check()
        assert code == 0 and "clean" in out, "check: %d\n%s%s" % (code, out, err)

    def url(self, behaviour):
        """A path of the receiver nobody else uses."""
        Case.n_urls = getattr(Case, "n_urls", 0) + 1
        return "%s/%s/n%d" % (self.receiver.url, behaviour, Case.n_urls)

    def got(self, url, n=1, timeout=PATIENCE):
        """The first n requests to that URL."""
        path = url[len(self.receiver.url):]
        self.receiver.wait_for(lambda records: sum(r["target"] == path for r in records) >= n, timeout)
        return [r for r in list(self.receiver.records) if r["target"] == path]

    def expect(self, answer, status, code=None, pointer=None):
        self.assertEqual(answer.status, status, answer)
        if status >= 400 and answer.body:
            self.assertEqual(answer.headers["content-type"], "application/problem+json", answer)
            problem = answer.json
            self.assertEqual(problem["status"], status)
            self.assertEqual(problem["type"], "about:blank")
            self.assertTrue(problem["title"] and problem["detail"], answer)
            if code:
                self.assertEqual(problem["code"], code, answer)
            if pointer:
                self.assertEqual(problem["errors"][0]["pointer"], pointer, answer)
        return answer

    def assert_verified(self, secret, record):
        self.assertEqual(Verifier.verdicts(secret, record), GOOD)


def main():
    unittest.main(verbosity=1, warnings="ignore")
