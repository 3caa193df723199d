#!/usr/bin/env python3
"""POST /v1/events/batch: order, bad lines, both forms, 100 MB in little memory, clients that vanish, kill -9 after a result."""
import json
import socket
import threading
import time
import unittest

import harness
from harness import until

NDJSON = "application/x-ndjson"


class Stream:
    """A batch whose two directions are driven by hand."""

    def __init__(self, server, key, content_type=NDJSON, extra=""):
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=harness.PATIENCE + 20)
        self.file = self.sock.makefile("rb")
        self.sock.sendall(("POST /v1/events/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n"
                           "Transfer-Encoding: chunked\r\n%s\r\n" % (key, content_type, extra)).encode())
        self.left = b""

    def send(self, data):
        self.sock.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.sock.sendall(b"0\r\n\r\n")

    def head(self):
        status = int(self.file.readline().split()[1])
        headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers

    def result(self):
        """The next result; None at the end."""
        while b"\n" not in self.left:
            size = int(self.file.readline(), 16)
            if size == 0:
                self.file.readline()
                return None
            self.left += self.file.read(size)
            self.file.readline()
        line, self.left = self.left.split(b"\n", 1)
        return json.loads(line)

    def results(self):
        return list(iter(self.result, None))

    def close(self):
        self.file.close()
        self.sock.close()


class Batch(harness.Case):
    def batch(self, body, content_type=NDJSON, **kw):
        a = self.api.post("/v1/events/batch", body, content_type=content_type, **kw)
        if a.status == 202:
            self.assertEqual(a.headers["content-type"], NDJSON)
            return [json.loads(line) for line in a.body.splitlines()]
        return a

    def lines(self, n, type="batch", start=0, **more):
        return b"".join(json.dumps(dict({"type": type, "data": {"n": i}}, **more)).encode() + b"\n" for i in range(start, start + n))

    def test_results_in_order(self):
        url = self.url("ok")
        w = self.api.webhook(url, event_types=["batch.order"])
        got = self.batch(self.lines(1000, "batch.order"))
        self.assertEqual([r["line"] for r in got], list(range(1, 1001)))
        self.assertEqual({(r["status"], r["deliveries"], r["replayed"]) for r in got}, {(202, 1, False)})
        records = self.got(url, 1000)
        self.assertEqual({r["headers"]["webhook-id"]: json.loads(r["body"])["data"]["n"] for r in records},
                         {r["id"]: r["line"] - 1 for r in got})
        until(lambda: self.api.get("/v1/webhooks/%s/stats" % w["id"]).json["deliveries"]["succeeded"] == 1000)

    def test_array_and_other_content_types(self):
        entries = [{"type": "batch.array", "data": [i, "]}\"\\"]} for i in range(3)]
        for body, kind in ((json.dumps(entries).encode(), "application/json"), (json.dumps(entries, indent=3).encode(), "application/json"),
                           (b" [ ] ", "application/json; charset=utf-8"), (b"", NDJSON), (b"\n\r\n  \n", NDJSON),
                           (b"\n".join(json.dumps(e).encode() for e in entries), "application/ndjson"),
                           (b"\r\n\r\n".join(json.dumps(e).encode() for e in entries), "application/jsonl")):
            got = self.batch(body, kind)
            self.assertEqual([r["status"] for r in got], [202] * len(got), (body, got))
            self.assertEqual([r["line"] for r in got], list(range(1, len(got) + 1)))
            self.assertEqual(len(got), 3 if b"batch" in body else 0, body)
        for kind in ("text/plain", None, "application/x-www-form-urlencoded"):
            self.expect(self.batch(b"{}", kind), 415, "unsupported_media_type")
        self.expect(self.batch(b"{}", headers={"Authorization": "Bearer x"}), 401, "invalid_key")

    def test_a_bad_line_spoils_only_itself(self):
        good = b'{"type":"batch.bad","data":1}'
        bad = [(b'{"type":"batch.bad","data":', 400, "bad_json"), (b"[1]", 422, "invalid"), (b"nonsense", 400, "bad_json"),
               (b'{"data":1}', 422, "invalid"), (b'{"type":"batch.bad","data":1,"more":2}', 422, "invalid"),
               (b'{"type":"b d","data":1}', 422, "invalid"), (b'{"type":"batch.bad","data":"\xff"}', 400, "bad_json"),
               (b'{"type":"batch.bad","type":"x","data":1}', 422, "invalid"),
               (b'{"type":"batch.bad","data":' + b"[" * 70 + b"]" * 70 + b"}", 400, "bad_json"),
               (b'{"type":"batch.bad","data":"' + b"x" * (1 << 20) + b'"}', 413, "too_large")]
        got = self.batch(b"\n".join([good + b"\n" + line for line, _, _ in bad] + [good]))
        self.assertEqual(len(got), 2 * len(bad) + 1)
        self.assertEqual([r["status"] for r in got[::2]], [202] * (len(bad) + 1))
        for r, (line, status, code) in zip(got[1::2], bad):
            self.assertEqual((r["status"], r["code"]), (status, code), (line[:80], r))
            self.assertTrue(r["detail"])
        self.assertEqual(got[7]["errors"][0]["pointer"], "/type")
        self.assertIn("1048576 bytes", got[-2]["detail"])
        self.assertEqual(len(self.api.get("/v1/events?type=batch.bad").json["data"]), len(bad) + 1)

    def test_a_broken_array_ends_with_its_reason(self):
        good = b'{"type":"batch.broken","data":1}'
        for body in (b"[" + good + b"," + good, b"[" + good + b" " + good + b"]", b"[" + good + b",]", b"{}", b"[" + good + b"] x",
                     good):
            got = self.batch(body, "application/json")
            self.assertEqual((got[-1]["status"], got[-1]["code"]), (400, "bad_json"), (body, got))
            self.assertNotIn("id", got[-1])
            self.assertTrue(all(r["status"] == 202 for r in got[:-1]), got)

    def test_own_ids_make_it_repeatable(self):
        body = b"".join(b'{"type":"batch.again","data":%d,"id":"again-%d"}\n' % (i, i) for i in range(50))
        first, second = self.batch(body), self.batch(body)
        self.assertEqual([r["id"] for r in first], [r["id"] for r in second])
        self.assertEqual({r["replayed"] for r in second}, {True})
        twice = self.batch(b'{"type":"batch.twice","data":1,"id":"twice"}\n' * 3 + b'{"type":"batch.twice","data":2,"id":"twice"}\n')
        self.assertEqual([(r["status"], r.get("replayed")) for r in twice], [(202, False), (202, True), (202, True), (409, None)])
        self.assertEqual(twice[-1]["errors"][0]["pointer"], "/id")

    def test_results_come_while_the_body_is_sent(self):
        s = Stream(self.server, self.api.key)
        self.assertEqual(s.head()[0], 202)
        for i in range(5):
            s.send(self.lines(1, "batch.live"))
            self.assertEqual(s.result()["line"], i + 1)
        s.send(b'{"type":"batch.live","da')
        s.send(b'ta":1}')
        s.end()
        self.assertEqual([r["line"] for r in s.results()], [6])
        s.send(b"")
        s.close()

    def test_results_at_end(self):
        s = Stream(self.server, self.api.key, extra="Hookline-Results: at-end\r\n")
        for i in range(10):
            s.send(self.lines(100, "batch.atend"))
        until(lambda: len(self.api.get("/v1/events?type=batch.atend&limit=250").json["data"]) == 250)
        s.sock.settimeout(0.3)
        with self.assertRaises(socket.timeout):
            s.sock.recv(1)
        s.sock.settimeout(harness.PATIENCE)
        s.end()
        self.assertEqual(s.head()[0], 202)
        self.assertEqual([r["line"] for r in s.results()], list(range(1, 1001)))
        s.close()

    def test_expect_continue(self):
        s = Stream(self.server, self.api.key, extra="Expect: 100-continue\r\n")
        self.assertEqual(s.file.readline(), b"HTTP/1.1 100 Continue\r\n")
        s.file.readline()
        s.send(self.lines(2))
        s.end()
        self.assertEqual(s.head()[0], 202)
        self.assertEqual(len(s.results()), 2)
        s.close()
        s = Stream(self.server, "wrong", extra="Expect: 100-continue\r\n")
        self.assertEqual(s.head()[0], 401)
        s.close()

    def test_a_client_that_does_not_read(self):
        """Reading pauses instead of memory growing; the rest goes on when the client reads."""
        s = Stream(self.server, self.api.key)
        body, sent = self.lines(1000, "batch.unread"), 0
        before = self.server.status("RssAnon")
        s.sock.settimeout(1)
        try:
            while sent < 400:
                s.send(body)
                sent += 1
        except socket.timeout:
            pass
        self.assertLess(sent, 400)
        self.assertLess(self.server.status("RssAnon") - before, (100 if not harness.SANITIZED else 400) * 1024)
        s.close()
        self.expect(self.api.get("/v1/events?limit=1"), 200)

    def test_a_client_that_vanishes_in_the_middle(self):
        """What was handed over is stored or not, never half; the same ids finish the job."""
        body = b"".join(b'{"type":"batch.gone","data":{"n":%d},"id":"gone-%d"}\n' % (i, i) for i in range(2000))
        s = Stream(self.server, self.api.key)
        s.send(body[:len(body) // 2])
        s.head()
        s.result()
        s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
        until(lambda: 'hookline_http_connections 1' in self.api.get("/metrics").body.decode())
        got = self.batch(body)
        self.assertEqual({r["status"] for r in got}, {202})
        self.assertEqual(len({r["id"] for r in got}), 2000)
        self.assertGreater(sum(r["replayed"] for r in got), 0)

    def test_a_result_is_durable(self):
        """kill -9 right after a result was read: the event is there. The rest is there whole or not at all."""
        w = self.api.webhook(self.url("ok"), event_types=["batch.kill"])
        acked = {}
        for round in range(5):
            s = Stream(self.server, self.api.key)
            threading.Thread(target=self.feed, args=(s, round), daemon=True).start()
            s.head()
            for _ in range(100 + 400 * round):
                r = s.result()
                self.assertEqual(r["status"], 202)
                acked[r["id"]] = (round, r["line"])
            self.server.kill()
            s.close()
            self.server.start()
            for id, (when, line) in list(acked.items())[-200:]:
                e = self.expect(self.api.get("/v1/events/" + id), 200).json
                self.assertEqual(e["data"], {"round": when, "n": line - 1})
                self.assertEqual(sum(e["summary"].values()), 1)
        until(lambda: self.api.get("/v1/webhooks/%s/stats" % w["id"]).json["deliveries"]["pending"] == 0)
        received = {r["headers"]["webhook-id"] for r in list(self.receiver.records)}
        self.assertEqual(set(acked) - received, set())

    def feed(self, s, round):
        try:
            for i in range(100000):
                s.send(b'{"type":"batch.kill","data":{"round":%d,"n":%d}}\n' % (round, i))
        except OSError:
            pass

    def test_100_megabytes(self):
        """In a batch of 100 MB the server never holds more than a small part of it."""
        line = b'{"type":"batch.big","data":"' + b"x" * 9900 + b'"}\n'
        n = 100 * 1000 * 1000 // len(line) + 1
        s = Stream(self.server, self.api.key)
        before, peak, got = self.server.status("RssAnon"), 0, []

        def read():
            s.head()
            got.extend(s.results())
        reader = threading.Thread(target=read)
        reader.start()
        start = time.monotonic()
        for i in range(0, n, 50):
            s.send(line * min(50, n - i))
            if i % 1000 == 0:
                peak = max(peak, self.server.status("RssAnon"))
        s.end()
        reader.join(120)
        s.close()
        self.assertEqual([r["line"] for r in got], list(range(1, n + 1)))
        self.assertEqual({r["status"] for r in got}, {202})
        print("100 MB: %.1f s, RssAnon %d KiB before, %d KiB at most" % (time.monotonic() - start, before, peak))
        if not harness.SANITIZED:
            self.assertLess(peak - before, 40 * 1024)


if __name__ == "__main__":
    unittest.main(verbosity=1)
