#!/usr/bin/env python3
"""Behind a real nginx with docs/nginx.conf in front of the unix socket: the API works, batches stream both ways, and the
shapes of 31-wire.py do not get through the pair either."""
import concurrent.futures
import http.client
import importlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest

import harness
from harness import PATIENCE, until

wire = importlib.import_module("31-wire")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    """docs/nginx.conf with this test's names; ports are picked before, for nginx cannot tell the one it got."""

    def __init__(self, socket_path, edits=(), access_log="off"):
        """edits: (pattern, text) more to change in docs/nginx.conf. access_log: as in nginx's own configuration."""
        self.folder = tempfile.mkdtemp(prefix="hl-nginx-")
        certs = harness.make_certs(self.folder)
        self.port = free_port()
        self.plain = self.folder + "/plain.sock"        # the same without TLS
        with open(os.path.join(harness.ROOT, "docs", "nginx.conf"), encoding="utf-8") as f:
            text = f.read()
        for pattern, new in (
                (r"server unix:/run/hookline/http\.sock", "server unix:" + socket_path), (r"listen 443 ssl http2", "listen unix:%s; listen 127.0.0.1:%d ssl http2" % (self.plain, self.port)),
                (r"ssl_certificate \S+;", "ssl_certificate %s;" % certs["good"][0]), (r"server_name \S+;", "server_name localhost;"),
                (r"ssl_certificate_key \S+;", "ssl_certificate_key %s;" % certs["good"][1])) + tuple(edits):
            text, n = re.subn(pattern, new, text)
            assert n == 1, pattern
        with open(os.path.join(self.folder, "nginx.conf"), "w", encoding="utf-8") as f:
            f.write("daemon off;\nmaster_process off;\npid %s/pid;\nerror_log stderr warn;\nevents {}\nhttp {\n"
                    "lingering_timeout 200ms;\nlog_format upstream '$status $upstream_status $request';\naccess_log %s;\n" % (self.folder, access_log))
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
                f.write("%s_temp_path %s/%s;\n" % (kind, self.folder, kind))
            f.write(text + "\n}\n")
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(["nginx", "-p", self.folder, "-c", "nginx.conf"], stdout=self.log, stderr=self.log)
        self.context = ssl.create_default_context(cafile=certs["ca"])
        until(self.answers, "nginx")

    def answers(self):
        if self.process.poll() is not None:
            with open(self.log.name, encoding="utf-8") as f:
                raise AssertionError("nginx ended: " + f.read())
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def connect(self, **kw):
        return self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE + 20), server_hostname="localhost", **kw)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
        shutil.rmtree(self.folder)


class Client(harness.Client):
    """The same client over TLS."""

    def __init__(self, nginx, server, key):
        harness.Client.__init__(self, server, key)
        self.nginx = nginx

    def connection(self):
        if getattr(self.local, "of", None) != self.server.generation:
            self.local.c = http.client.HTTPSConnection("localhost", self.nginx.port, context=self.nginx.context, timeout=PATIENCE + 20)
            self.local.of = self.server.generation
        return self.local.c


@unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
class Behind(harness.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.nginx = Nginx(cls.server.unix)
        cls.addClassCleanup(cls.nginx.stop)
        cls.direct = cls.api
        cls.api = Client(cls.nginx, cls.server, cls.server.key)

    def test_the_api(self):
        url = self.url("ok")
        w = self.api.webhook(url, event_types=["nginx"])
        for i in range(50):
            self.api.publish("nginx", {"n": i})
        for record in self.got(url, 50):
            self.assert_verified(w["secret"], record)
        self.api.wait_deliveries("succeeded", 50, webhook=w["id"])
        self.expect(self.api.get("/v1/webhooks/nothing"), 404, "not_found")
        self.expect(self.api.post("/v1/events", b"{"), 400, "bad_json")
        a = self.api.get("/v1/events?limit=7")
        self.assertIn("/v1/events?limit=7&cursor=", a.headers["link"])
        self.assertEqual(self.api.request("HEAD", "/v1/events").status, 200)
        self.assertEqual(self.api.get("/livez").json, {"status": "ok"})
        self.assertEqual(self.api.get("/metrics").status, 200)

    def test_connections_are_kept(self):
        for _ in range(30):
            self.api.get("/v1/events?limit=1")
        text = self.direct.get("/metrics").body.decode()
        accepted = int(re.search(r"^hookline_http_connections_accepted_total (\d+)", text, re.M).group(1))
        self.assertLess(accepted, 40, "nginx opens a connection per request")

    def test_batches(self):
        """Small, large, an array, broken, chunked; results come when the body is through."""
        line = json.dumps({"type": "nginx.batch", "data": "x" * 300}).encode() + b"\n"
        for n in (0, 1, 300, 20000):
            a = self.api.post("/v1/events/batch", line * n, content_type="application/x-ndjson")
            self.assertEqual(a.status, 202)
            results = [json.loads(x) for x in a.body.splitlines()]
            self.assertEqual([r["line"] for r in results], list(range(1, n + 1)))
            self.assertEqual({r["status"] for r in results}, {202} if n else set())
        a = self.api.post("/v1/events/batch", b"[" + b",".join([line] * 1000) + b"]")
        self.assertEqual(a.body.count(b'"status":202'), 1000)
        a = self.api.post("/v1/events/batch", b"[" + b",".join([line] * 10))
        self.assertEqual((a.body.count(b'"status":202'), a.body.count(b'"bad_json"')), (9, 1))
        self.expect(self.api.post("/v1/events/batch", line * 5000, content_type="text/plain"), 415)

    def test_market_feeds(self):
        items = b"".join(b'{"item_id":%d,"market_hash_name":"Item %d"}\n' % (i, i) for i in range(1, 40001))
        asks = b"".join(b'{"item_id":%d,"provider":"p","lowest_ask":%d}\n' % (i, i) for i in range(1, 40001))
        self.assertGreater(len(items), 1 << 20)
        for method, path, body in (("PUT", "items", items), ("POST", "asks", asks + b"bad\n")):
            a = self.api.request(method, "/v1/market/" + path, body, content_type="application/x-ndjson")
            self.assertEqual((a.status, a.json["accepted"]), (200, 40000), a)
        self.assertEqual(a.json["errors"][0]["line"], 40001)
        self.assertEqual(self.api.get("/v1/market/items/39999").json["best_ask"], 39999)

    def test_a_slow_batch(self):
        """Written bit by bit: nothing times out in between, and every result comes."""
        with self.nginx.connect() as s:
            s.sendall(b"POST /v1/events/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                      b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" % self.server.key.encode())
            for i in range(10):
                data = b'{"type":"nginx.slow","data":%d}\n' % i
                s.sendall(b"%x\r\n%s\r\n" % (len(data), data))
                until(lambda: len(self.direct.get("/v1/events?type=nginx.slow").json["data"]) == i + 1, "the event")
            s.sendall(b"0\r\n\r\n")
            got = b""
            for piece in iter(lambda: s.recv(65536), b""):
                got += piece
        self.assertEqual(got.count(b'"status":202'), 10)

    def test_too_large(self):
        a = self.api.post("/v1/events", b'{"type":"x","data":"' + b"x" * (1 << 20) + b'"}')
        self.assertEqual(a.status, 413)

    def through(self, data):
        """What comes back for these bytes, until nothing comes for a while."""
        data = data.replace(b"KEY", self.server.key.encode()).replace(b"Host: x", b"Host: localhost")
        got = b""
        try:
            with self.nginx.connect() as s:
                s.sendall(data)
                s.settimeout(1.5)
                for piece in iter(lambda: s.recv(65536), b""):
                    got += piece
        except (ConnectionError, ssl.SSLError, socket.timeout):
            pass
        return got

    def test_shapes(self):
        """nginx refuses or repairs; what reaches Hookline is one request or none. The hidden second request may only
        ever act when nginx, too, took it for a request of its own, so each shape is sent without one."""
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = pool.map(lambda shape: (shape[0], self.through(shape[1])), wire.shapes())
            wrong = [(name, got) for name, got in answers if got.count(b"HTTP/1.1 ") > 1]
        self.assertEqual(wrong, [])
        self.assertEqual(self.direct.get("/readyz").status, 200)
        stored = self.direct.get("/v1/events?type=smuggled&limit=250").json["data"]
        self.assertLess(len(stored), 10)

    def test_a_desync_does_not_reach_the_next_client(self):
        """After every shape the shared upstream connections still answer each client with its own answer."""
        for name, data in wire.shapes():
            data = data.replace(b"KEY", b"nobody").replace(b"Host: x", b"Host: localhost")
            try:
                with self.nginx.connect() as s:
                    s.sendall(data)
            except (ConnectionError, ssl.SSLError):
                pass
            marker = "after-%d" % (len(name) + len(data))
            a = self.api.get("/v1/webhooks/" + marker)
            self.expect(a, 404, "not_found")
            self.assertEqual(self.api.get("/livez").json, {"status": "ok"}, name)


if __name__ == "__main__":
    harness.main()
