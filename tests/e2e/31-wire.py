#!/usr/bin/env python3
"""Bytes on the wire: shapes that smuggle, slow and vanishing clients, more clients than fit. Each direct; 60-nginx.py sends
the shapes once more through nginx."""
import select
import socket
import time
import unittest

import harness
from harness import until

EVENT = b'{"type":"smuggled","data":1}'
INNER = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" \
    % (len(EVENT), EVENT)


def head(*fields, line=b"POST /v1/events HTTP/1.1"):
    return b"\r\n".join((line, b"Host: x", b"Authorization: Bearer KEY", b"Content-Type: application/json") + fields) + b"\r\n\r\n"


def shapes():
    """(name, bytes): all must be refused, and nothing inside them may act."""
    n = b"%d" % len(EVENT)
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVENT), EVENT)
    cl, te = b"Content-Length: " + n, b"Transfer-Encoding: chunked"
    yield "CL and TE", head(cl, te) + chunked
    yield "TE and CL", head(te, cl) + chunked
    yield "two CL", head(cl, b"Content-Length: 1") + EVENT
    yield "two equal CL", head(cl, cl) + EVENT
    for value in (b"+" + n, b"0x1c", n + b", " + n, b"-1", b"", b"99999999999999999999", n + b" ", b"1e1", b"\x0b" + n):
        if value.strip() != n:
            yield "CL %r" % value, head(b"Content-Length: " + value) + EVENT
    for value in (b"", b"xchunked", b"chunked, identity", b"identity", b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity, chunked",
                  b"\x0bchunked", b"chunked\x00", b"chu nked", b'"chunked"'):
        yield "TE %r" % value, head(b"Transfer-Encoding: " + value) + chunked
    yield "TE twice", head(te, te) + chunked
    yield "TE folded", head(b"Transfer-Encoding:\r\n chunked") + chunked
    yield "TE with space before colon", head(b"Transfer-Encoding : chunked") + chunked
    yield "TE on 1.0", head(te, line=b"POST /v1/events HTTP/1.0") + chunked
    yield "TE after CR only", head(b"X: y\rTransfer-Encoding: chunked") + chunked
    yield "TE after LF only", head(b"X: y\nTransfer-Encoding: chunked") + chunked
    for size in (b"0x1c", b"-1", b"+1c", b"1c ;", b" 1c", b"", b"g", b"fffffffffffffffff", b"1c\n", b"1c;\x00"):
        yield "chunk size %r" % size, head(te) + size + b"\r\n" + EVENT + b"\r\n0\r\n\r\n"
    yield "chunk without CRLF", head(te) + b"%x\r\n%s0\r\n\r\n" % (len(EVENT), EVENT)
    yield "chunk extension with LF", head(te) + b"%x;a\nb\r\n%s\r\n0\r\n\r\n" % (len(EVENT), EVENT)
    yield "obs-fold", head(b"X-Long: a\r\n b", cl) + EVENT
    yield "no Host", b"GET /livez HTTP/1.1\r\n\r\n"
    yield "two Hosts", b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    for host in (b"", b"a b", b"a/b", b"a@b", b"a\\b", b"[::1", b"a:x", b"a:99999"):
        yield "Host %r" % host, b"GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n" % host
    for line in (b"GET http://other/livez HTTP/1.1", b"GET /livez#x HTTP/1.1", b"GET livez HTTP/1.1", b"GET * HTTP/1.1", b"CONNECT a:1 HTTP/1.1",
                 b"TRACE /livez HTTP/1.1", b"GET /livez HTTP/2.0", b"GET /livez HTTP/0.9", b"GET /livez HTTP/1.2", b"GET /livez HTTP/1.10",
                 b"GET /livez", b"GET /liv ez HTTP/1.1", b"GET /livez HTTP/1.1 ", b" GET /livez HTTP/1.1",
                 b"GET /liv\xc3\xa9z HTTP/1.1", b"GET /livez\x00 HTTP/1.1", b"FOO /livez HTTP/1.1", b"PRI * HTTP/2.0"):
        yield "line %r" % line, line + b"\r\nHost: x\r\n\r\n"
    for field in (b"X\x00: y", b"X: a\x00b", b"X: a\x01b", b"X: a\x7fb", b": y", b"X Y: z", b"X\t: y", b"X", b"(X): y", b"X: \r\r\n"):
        yield "field %r" % field, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n\r\n"
    yield "Upgrade", b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    yield "65 fields", b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(64)) + b"\r\n"
    yield "a long head", b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 17000 + b"\r\n\r\n"
    yield "a long target", b"GET /livez?" + b"y" * 8200 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    yield "TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64
    yield "not HTTP", b"\x00" * 100
    yield "SSH", b"SSH-2.0-OpenSSH_9.2\r\n"


def exchange(address, data, timeout=harness.PATIENCE, half=False):
    """Everything that comes until the other side closes."""
    s = socket.socket(socket.AF_UNIX) if isinstance(address, str) else socket.socket()
    s.settimeout(timeout)
    s.connect(address)
    got = b""
    try:
        s.sendall(data)
        if half:
            s.shutdown(socket.SHUT_WR)
        while True:
            piece = s.recv(65536)
            if not piece:
                return got
            got += piece
    except ConnectionResetError:
        return got
    finally:
        s.close()


class Wire(harness.Case):
    settings = {"server.head_timeout": "600ms", "server.body_timeout": "1s", "server.idle_timeout": "1s", "server.max_connections": "64"}

    def setUp(self):
        self.address = ("127.0.0.1", self.server.port)

    def prepared(self, data):
        return data.replace(b"KEY", self.api.key.encode())

    def test_shapes(self):
        """Each with a whole second request behind it, which must not be taken for one."""
        wrong = []
        for name, data in shapes():
            got = exchange(self.address, self.prepared(data + INNER))
            refused = got.startswith(b"HTTP/1.1 ") and int(got.split()[1]) in (400, 405, 414, 431, 501, 505)
            if not refused or got.count(b"HTTP/1.1 ") != 1 or b"connection: close" not in got.lower() or b"application/problem+json" not in got:
                wrong.append((name, got))
        self.assertEqual(wrong, [])
        self.assertEqual(self.api.get("/v1/events?type=smuggled").json["data"], [])

    def test_two_content_types_are_none(self):
        fields = (b"Content-Type: text/plain", b"Content-Length: %d" % len(EVENT), b"Connection: close")
        for line in (b"POST /v1/events HTTP/1.1", b"POST /v1/events/batch HTTP/1.1"):
            got = exchange(self.address, self.prepared(head(*fields, line=line) + EVENT))
            self.assertTrue(got.startswith(b"HTTP/1.1 415 "), got)

    def test_what_is_allowed(self):
        good = [head(b"Content-Length: %d" % len(EVENT)) + EVENT.replace(b"smuggled", b"alloweds"),
                head(b"transfer-encoding: Chunked") + b"%X;ext=1\r\n%s\r\n0\r\n\r\n" % (len(EVENT), EVENT.replace(b"smuggled", b"alloweds")),
                head(b"Transfer-Encoding: chunked") + b"".join(b"1\r\n%c\r\n" % c for c in EVENT.replace(b"smuggled", b"alloweds")) +
                b"0\r\nTrailer: x\r\n\r\n",
                b"\r\n\r\n" + head(b"Content-Length: %d" % len(EVENT)) + EVENT.replace(b"smuggled", b"alloweds"),
                head(b"Content-Length: %d" % len(EVENT), line=b"POST /v1/events HTTP/1.0") + EVENT.replace(b"smuggled", b"alloweds")]
        for data in good:
            got = exchange(self.address, self.prepared(data))
            self.assertTrue(got.startswith((b"HTTP/1.1 202", b"HTTP/1.0 202")), (data, got))
        self.assertEqual(len(self.api.get("/v1/events?type=alloweds").json["data"]), len(good))

    def test_pipelined_requests_are_answered_in_order(self):
        one = b"GET /v1/events?limit=%d HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n"
        posts = head(b"Content-Length: %d" % len(EVENT)) + EVENT.replace(b"smuggled", b"pipeline")
        data = self.prepared(b"".join(posts + one % 1 + b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n" for _ in range(30)))
        got = exchange(self.address, data)
        statuses = [int(x.split()[0]) for x in got.split(b"HTTP/1.1 ")[1:]]
        self.assertEqual(statuses, [202, 200, 200] * 30)
        self.assertEqual(len(self.api.get("/v1/events?type=pipeline&limit=250").json["data"]), 30)

    def test_byte_by_byte(self):
        with socket.create_connection(self.address) as s:
            for c in self.prepared(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"):
                s.sendall(bytes([c]))
            self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 200"))

    def test_a_slow_head(self):
        start = time.monotonic()
        with socket.create_connection(self.address, timeout=10) as s:
            s.sendall(b"GET /livez HTTP/1.1\r\n")
            s.settimeout(0.05)
            got = b""
            while time.monotonic() - start < 10:
                try:
                    s.sendall(b"X-%d: y\r\n" % time.monotonic_ns())
                    got = s.recv(1000)
                    break
                except socket.timeout:
                    continue
        self.assertTrue(got.startswith(b"HTTP/1.1 408"), got)
        self.assertTrue(0.5 < time.monotonic() - start < 3)

    def test_a_slow_body(self):
        got = exchange(self.address, self.prepared(head(b"Content-Length: 100") + b'{"type":'))
        self.assertTrue(got.startswith(b"HTTP/1.1 408"), got)
        self.assertIn(b'"code":"timeout"', got)

    def test_an_idle_connection_is_closed(self):
        start = time.monotonic()
        self.assertEqual(exchange(self.address, b""), b"")
        got = exchange(self.address, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(got.count(b"HTTP/1.1"), 1)
        self.assertLess(time.monotonic() - start, 8)

    @unittest.skipIf(harness.SANITIZED, "the sanitizer's own memory is no figure of ours")
    def test_answers_nobody_reads_are_not_piled_up(self):
        """Forty answers of 100 KB asked for in one go: the next is begun when of those before all but 64 KiB have been taken."""
        self.api.close()                                   # one that rested may be closed any moment
        id = self.api.publish("piled", "x" * 100000)["id"]
        ask = self.prepared(b"GET /v1/events/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n" % id.encode())
        self.assertGreater(len(self.api.get("/v1/events/" + id).body), 100000)
        before = self.server.status("RssAnon")
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.connect(self.address)
            s.sendall(ask * 40)
            for i in range(200):
                self.assertEqual(self.api.get("/livez").status, 200)
            self.assertLess(self.server.status("RssAnon") - before, 1500)

    def test_a_slow_reader(self):
        """An answer nobody reads is given up; others are served meanwhile."""
        for i in range(60):
            self.api.publish("unread", "x" * 20000)
        slow = []
        request = self.prepared(b"GET /v1/events/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n"
                                % self.api.get("/v1/events?type=unread&limit=1").json["data"][0]["id"].encode())
        for i in range(10):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.connect(self.address)
            try:
                s.settimeout(0.2)
                s.sendall(request * 200)
            except OSError:
                pass
            slow.append(s)
        start = time.monotonic()
        self.expect(self.api.get("/v1/events?limit=1"), 200)
        self.assertLess(time.monotonic() - start, 1)
        until(lambda: self.connections() <= 2, "the slow readers to be dropped", timeout=harness.PATIENCE * 2)
        for s in slow:
            s.close()

    def connections(self):
        text = harness.Client(self.server, None).get("/metrics").body.decode()
        return int([line for line in text.splitlines() if line.startswith("hookline_http_connections ")][0].split()[1])

    def test_clients_that_vanish(self):
        """At every place of a request; what was handed over is stored, the rest is not, and nothing breaks."""
        whole = self.prepared(head(b"Content-Length: %d" % len(EVENT)) + EVENT.replace(b"smuggled", b"vanished"))
        for i in range(0, len(whole), 3):
            s = socket.create_connection(self.address)
            s.sendall(whole[:i])
            if i % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()
        until(lambda: self.connections() <= 2)
        self.assertEqual(self.api.get("/v1/events?type=vanished").json["data"], [])
        for i in range(50):
            s = socket.create_connection(self.address)
            s.sendall(whole)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()
        until(lambda: self.connections() <= 2)
        self.expect(self.api.get("/v1/events?type=vanished&limit=250"), 200)

    def test_half_closed(self):
        got = exchange(self.address, self.prepared(b"GET /v1/events?limit=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n"), half=True)
        self.assertTrue(got.startswith(b"HTTP/1.1 200"), got)
        got = exchange(self.address, self.prepared(head(b"Content-Length: 100") + b"{"), half=True)
        self.assertTrue(got == b"" or got.startswith(b"HTTP/1.1 400"), got)

    def test_more_clients_than_fit(self):
        """Three quarters may ask at a time; the others get 503, but for health and metrics; all is well afterwards."""
        self.api.get("/livez")
        half = self.prepared(head(b"Content-Length: 100") + b"{")
        crowd = [socket.create_connection(self.address, timeout=10) for _ in range(55)]
        for s in crowd:
            s.sendall(half)
        statuses = [self.status_within(s, 0.2) for s in crowd[48:]] + [self.status_within(s, 0) for s in crowd[:48]]
        self.assertEqual((statuses.count(b"503"), statuses.count(None)), (7, 48))
        with socket.create_connection(self.address, timeout=10) as s:
            s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200"))
        for s in crowd:
            s.close()
        until(lambda: self.connections() <= 2)
        self.expect(self.api.get("/v1/events?limit=1"), 200)

    @staticmethod
    def status_within(s, seconds):
        return s.recv(16).split(b" ")[1] if select.select([s], [], [], seconds)[0] else None

    def test_silent_clients_do_not_keep_others_out(self):
        crowd = []
        for _ in range(200):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(self.address)
            crowd.append(s)
        until(lambda: harness.Client(self.server, None, unix=self.server.data + "/control.sock").get("/livez").status == 200)
        until(self.alive, "a place", timeout=10)
        for s in crowd:
            s.close()

    def alive(self):
        try:
            return self.api.get("/v1/events?limit=1").status == 200
        except OSError:
            return False


if __name__ == "__main__":
    harness.main()
