"""The scripted receiver does what its table of behaviours says: the tests that lean on it need to know."""
import http.client
import json
import os
import socket
import ssl
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from receiver import Receiver, line_of, make_certs, verify  # noqa: E402


class Behaviours(unittest.TestCase):
    def setUp(self):
        self.r = Receiver().start()

    def tearDown(self):
        self.r.stop()

    def post(self, path, body=b"{}", **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.r.port, timeout=5)
        c.request("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        a = c.getresponse()
        text = a.read()
        c.close()
        return a.status, dict(a.getheaders()), text

    def raw(self, path):
        s = socket.create_connection(("127.0.0.1", self.r.port), timeout=0.3)
        s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" % path.encode())
        out = b""
        try:
            while len(out) < 100000:
                piece = s.recv(65536)
                if not piece:
                    return out, "closed"
                out += piece
            return out, "endless"
        except socket.timeout:
            return out, "silent"
        except ConnectionResetError:
            return out, "reset"
        finally:
            s.close()

    def test_statuses(self):
        for path, status in (("/ok/x", 204), ("/status/503", 503), ("/gone", 410), ("/redirect", 302), ("/body/10", 200),
                             ("/retry-after/7", 429), ("/retry-after/7/503", 503), ("/retry-after-date/9", 503),
                             ("/discord-limit/1", 429), ("/telegram-limit/1", 429), ("/telegram-ok", 200), ("/slow/20", 204),
                             ("/nobody/204", 204), ("/http10", 200), ("/close-after", 204), ("/nonsense", 404)):
            with self.subTest(path=path):
                self.assertEqual(self.post(path)[0], status)
        self.assertEqual(self.post("/retry-after/7")[1]["Retry-After"], "7")

    def test_flaky_counts_by_webhook_id(self):
        for want in (500, 500, 204, 204):
            self.assertEqual(self.post("/flaky/2", webhook_id="a")[0], want)
        self.assertEqual(self.post("/flaky/2", webhook_id="b")[0], 500)

    def test_sometimes_depends_on_the_id_only(self):
        got = [self.post("/sometimes/50", webhook_id=str(i))[0] for i in range(40)]
        self.assertTrue(8 < got.count(500) < 32, got)
        self.r.forget()
        self.assertEqual(got, [self.post("/sometimes/50", webhook_id=str(i))[0] for i in range(40)])

    def test_misbehaviour(self):
        self.assertEqual(self.raw("/hang"), (b"", "silent"))
        self.assertEqual(self.raw("/hang-head")[1], "silent")
        self.assertIn(b"half", self.raw("/hang-body")[0])
        self.assertEqual(self.raw("/close"), (b"", "closed"))
        self.assertEqual(self.raw("/reset"), (b"", "reset"))
        self.assertNotIn(b"HTTP/1.1 ", self.raw("/garbage")[0])
        self.assertEqual(self.raw("/endless-head")[1], "endless")
        self.assertEqual(self.raw("/endless-body")[1], "endless")
        self.assertEqual(self.raw("/close-idle")[1], "closed")
        self.assertEqual(self.raw("/interim/2")[0].count(b"HTTP/1.1 102"), 2)
        out, end = self.raw("/trickle/1")
        self.assertTrue(out.endswith(b"slowly\n"), out)

    def test_keep_alive_and_pipelining(self):
        s = socket.create_connection(("127.0.0.1", self.r.port), timeout=5)
        s.sendall(b"POST /slow/50 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabPOST /status/201 HTTP/1.1\r\nHost: x\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n3\r\ncde\r\n0\r\n\r\n")
        out = b""
        while b"201" not in out:
            out += s.recv(1000)
        s.close()
        self.assertTrue(out.startswith(b"HTTP/1.1 204"))
        self.assertEqual([r["body"] for r in self.r.records], [b"ab", b"cde"])

    def test_script_and_records(self):
        self.r.script["/ok/x"] = "status/500"
        self.assertEqual(self.post("/ok/x")[0], 500)
        c = http.client.HTTPConnection("127.0.0.1", self.r.port, timeout=5)
        c.request("PUT", "/_script", json.dumps({"/ok/x": None}))
        self.assertEqual(c.getresponse().read(), b"")
        self.assertEqual(self.post("/ok/x")[0], 204)
        c.request("GET", "/_records")
        rows = [json.loads(l) for l in c.getresponse().read().decode().splitlines()]
        self.assertEqual([r["behaviour"] for r in rows], ["status/500", "/ok/x"])
        c.close()
        self.r.wait(2)
        with self.assertRaises(TimeoutError):
            self.r.wait(3, timeout=0.05)

    def test_bodies_survive_as_they_are(self):
        self.post("/ok", b'{"n":1.0,"big":12345678901234567890}')
        self.post("/ok", b"\xff\xfe")
        self.assertEqual(self.r.records[0]["body"], b'{"n":1.0,"big":12345678901234567890}')
        self.assertIn("body_base64", json.loads(line_of(self.r.records[1])))

    def test_verify(self):
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of the Standard Webhooks text
        record = {"headers": {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
                              "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
                  "body": b'{"test": 2432232314}'}
        self.assertTrue(verify(secret, record))
        record["body"] += b" "
        self.assertFalse(verify(secret, record))


class Tls(unittest.TestCase):
    def connect(self, pair, ca):
        with Receiver(tls=pair) as r:
            context = ssl.create_default_context(cafile=ca)
            c = http.client.HTTPSConnection("localhost", r.port, timeout=5, context=context)
            c.request("POST", "/ok", b"{}")
            status = c.getresponse().status
            c.close()
            return status, r.records[0]["tls"]

    def test_certificates(self):
        with tempfile.TemporaryDirectory() as folder:
            certs = make_certs(folder)
            self.assertEqual(self.connect(certs["good"], certs["ca"]), (204, "TLSv1.3"))
            for name in ("expired", "wrong_host", "self_signed"):
                with self.subTest(name), self.assertRaises(ssl.SSLCertVerificationError):
                    self.connect(certs[name], certs["ca"])


if __name__ == "__main__":
    unittest.main()
