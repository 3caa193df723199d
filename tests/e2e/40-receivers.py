#!/usr/bin/env python3
"""Receivers that refuse, reset, hang, answer garbage or never end; TLS with good and bad certificates. Each outcome has its
class, nobody else waits, and nothing leaks."""
import os
import shutil
import signal
import socket
import ssl
import tempfile
import threading
import unittest

import harness
from harness import Receiver, until


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Receivers(harness.Case):
    settings = {"delivery.timeout": "1s", "delivery.connect_timeout": "500ms"}

    def attempt(self, url, api=None, test=lambda d: d["attempt_count"], **members):
        """The first attempt of a first delivery to that URL, and the delivery."""
        api = api or self.api
        type = "t%d" % hash(url + str(members))
        w = api.webhook(url, event_types=[type], **dict({"retry": [3600]}, **members))
        api.publish(type, {"n": 1})
        d = until(lambda: [d for d in api.deliveries(webhook=w["id"]) if test(d)], "an attempt at " + url)[0]
        d = api.delivery(d["id"])
        return d["attempts"][0], d

    def test_each_misbehaviour_has_its_class(self):
        fine = self.url("ok")
        self.api.webhook(fine, event_types=["fine"])
        for behaviour, classes, status in (
                ("close", ("reset",), None), ("reset", ("reset",), None), ("hang", ("timeout",), None), ("hang-head", ("timeout",), None),
                ("hang-body", ("timeout",), (None, 200)), ("trickle/100", ("timeout",), None), ("slow/3000", ("timeout",), None),
                ("garbage", ("protocol",), None), ("endless-head", ("protocol",), None), ("interim/100", ("protocol",), None)):
            at, d = self.attempt(self.url(behaviour))
            self.assertEqual((d["status"], at["outcome"]), ("pending", "failed"), behaviour)
            self.assertIn(at["error"]["class"], classes, behaviour)
            self.assertIn(at["http_status"], status if isinstance(status, tuple) else (status,), behaviour)
            self.assertTrue(at["error"]["message"])
            self.assertEqual(at["address"], "127.0.0.1:%d" % self.receiver.port)
            self.assertLess(at["times_ms"]["total"], 2500 if not harness.SANITIZED else 10000, behaviour)
            self.assertIsNotNone(d["next_attempt_at"])
        self.api.publish("fine")
        self.got(fine)

    def test_what_is_odd_but_good(self):
        for behaviour in ("interim/2", "nobody/204", "http10", "close-after", "close-idle", "trickle/5", "body/100000", "body/0", "slow/300"):
            at, d = self.attempt(self.url(behaviour))
            self.assertEqual((d["status"], at["outcome"], at["error"]), ("succeeded", "succeeded", None), behaviour)
        at, d = self.attempt(self.url("nobody/304"))
        self.assertEqual((at["outcome"], at["http_status"]), ("failed", 304))

    def test_an_endless_body_is_cut(self):
        """The status decides; what never ends is not read for ever."""
        at, d = self.attempt(self.url("endless-body"))
        self.assertEqual(at["http_status"], 200)
        self.assertLessEqual(len(at["response_body"] or ""), 5000)
        self.assertLess(at["times_ms"]["total"], 3000 if not harness.SANITIZED else 10000)
        self.assertLess(self.server.status("VmRSS"), 400 * 1024)

    def test_refused(self):
        at, d = self.attempt("http://127.0.0.1:%d/" % free_port())
        self.assertEqual((at["error"]["class"], at["http_status"], at["response_body"]), ("connect", None, None))
        self.assertIn("refused", at["error"]["message"].lower())

    def test_a_listener_that_never_accepts(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen(0)
            fill = []
            for _ in range(4):
                c = socket.socket()
                c.setblocking(False)
                c.connect_ex(s.getsockname())
                fill.append(c)
            at, d = self.attempt("http://127.0.0.1:%d/" % s.getsockname()[1])
            self.assertEqual(at["error"]["class"], "timeout", at)
            [c.close() for c in fill]

    def test_a_name_that_does_not_resolve(self):
        at, d = self.attempt("http://no-such-host.invalid/", timeout=5)
        self.assertEqual((at["error"]["class"], at["address"]), ("dns", None), at)

    def test_tls_to_a_plain_port_and_back(self):
        at, d = self.attempt(self.receiver.url.replace("http:", "https:") + "/ok")
        self.assertIn(at["error"]["class"], ("tls", "reset", "timeout"))

    def test_not_utf8_answer(self):
        done = threading.Event()
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen(1)

        def serve():
            c, _ = server.accept()
            c.recv(65536)
            body = b"caf\xe9 \xff\x00\x1b[31m \xf0\x9f\x98\x80"
            c.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            done.wait(10)
            c.close()
        threading.Thread(target=serve, daemon=True).start()
        at, d = self.attempt("http://127.0.0.1:%d/" % server.getsockname()[1])
        self.assertEqual(at["http_status"], 500)
        self.assertTrue(at["response_body"].startswith("caf\ufffd"))
        self.assertTrue(at["response_body"].endswith("\U0001f600"))
        done.set()
        server.close()

    def test_a_dead_kept_connection_costs_no_attempt(self):
        """The receiver closes connections it promised to keep: sent once more, and counted as one attempt."""
        url = self.url("close-idle")
        w = self.api.webhook(url, event_types=["stale"], max_in_flight=1)
        for i in range(20):
            self.api.publish("stale", i)
        self.api.wait_deliveries("succeeded", 20, webhook=w["id"])
        self.assertEqual({d["attempt_count"] for d in self.api.deliveries(webhook=w["id"])}, {1})

    def test_descriptors_come_back(self):
        path = "/proc/%d/fd" % self.server.process.pid
        for behaviour in ("hang", "close", "reset", "hang-body", "garbage"):
            for i in range(8):
                self.attempt(self.url(behaviour), timeout=0.2)
        until(lambda: len(os.listdir(path)) < 60, "descriptors to come back")

    def test_discord_and_telegram_say_it_is_over(self):
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        discord = b'{"message": "Unknown Webhook", "code": 10015}'
        telegram = b'{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}'
        answers = {b"/discord": b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(discord), discord),
                   b"/telegram": b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(telegram), telegram),
                   b"/sheets": b"HTTP/1.1 302 Found\r\nLocation: https://script.googleusercontent.com/macros/echo?x=1\r\nContent-Length: 0\r\n\r\n"}

        def serve():
            for _ in range(3):
                c, _ = server.accept()
                asked = c.recv(65536)
                c.sendall([v for k, v in answers.items() if b" " + k in asked.split(b"\r\n")[0]][0])
                c.close()
        threading.Thread(target=serve, daemon=True).start()
        base = "http://127.0.0.1:%d" % server.getsockname()[1]
        for path, format in (("/discord", "discord"), ("/telegram?chat_id=1", "telegram")):
            at, d = self.attempt(base + path, format=format)
            self.assertEqual(d["status"], "failed", at)
            self.assertEqual(self.api.get("/v1/webhooks/" + d["webhook_id"]).json["state"], "disabled")
        at, d = self.attempt(base + "/sheets", format="google_sheets")
        self.assertEqual((d["status"], at["http_status"]), ("succeeded", 302))
        server.close()


class Tls(harness.Case):
    settings = {"delivery.timeout": "2s", "egress.allow_hosts": "localhost"}
    attempt = Receivers.attempt

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hl-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.certs = harness.make_certs(cls.folder)
        cls.ca = os.path.join(cls.folder, "trusted.pem")
        shutil.copy(cls.certs["ca"], cls.ca)
        cls.settings = dict(cls.settings, **{"tls.ca_file": cls.ca})
        super().setUpClass()

    def test_good(self):
        with Receiver(tls=self.certs["good"]) as r:
            for host in ("localhost", "127.0.0.1"):
                at, d = self.attempt("https://%s:%d/ok/%s" % (host, r.port, host))
                self.assertEqual((d["status"], at["tls"], at["http_status"]), ("succeeded", "TLSv1.3", 204), at)
                self.assertIsNotNone(at["times_ms"]["tls"])
            self.assertEqual(r.records[0]["tls"], "TLSv1.3")
            self.assertEqual(r.records[0]["headers"]["host"], "localhost:%d" % r.port)

    def test_bad_certificates(self):
        for name, word in (("expired", "expired"), ("wrong_host", "name"), ("self_signed", "self")):
            with Receiver(tls=self.certs[name]) as r:
                at, d = self.attempt("https://localhost:%d/ok/%s" % (r.port, name))
                self.assertEqual((d["status"], at["error"]["class"], at["http_status"]), ("pending", "tls", None), name)
                self.assertRegex(at["error"]["message"].lower(), word)
                self.assertEqual(r.records, [], "nothing may be sent to a receiver that is not verified")

    def test_versions(self):
        for version, good in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certs["good"])
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = version
            with Receiver(tls=context) as r:
                at, d = self.attempt("https://localhost:%d/ok/%s" % (r.port, version.name))
                if good:
                    self.assertEqual((d["status"], at["tls"]), ("succeeded", "TLSv1.2"))
                else:
                    self.assertEqual((d["status"], at["error"]["class"]), ("pending", "tls"))

    def test_a_handshake_that_never_ends(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen(5)
            at, d = self.attempt("https://localhost:%d/" % s.getsockname()[1])
            self.assertEqual(at["error"]["class"], "timeout")

    def test_sessions_are_resumed_and_signatures_hold(self):
        with Receiver(tls=self.certs["good"]) as r:
            url = "https://localhost:%d/close-after" % r.port
            w = self.api.webhook(url, event_types=["resumed"], max_in_flight=1)
            for i in range(10):
                self.api.publish("resumed", i)
            self.api.wait_deliveries("succeeded", 10, webhook=w["id"])
            for record in r.records:
                self.assert_verified(w["secret"], record)
        text = harness.Client(self.server, None).get("/metrics").body.decode()
        resumed = [line for line in text.splitlines() if line.startswith('hookline_tls_handshakes_total{resumed="yes"} ')][0]
        self.assertGreaterEqual(int(resumed.split()[1]), 5, text)

    def test_ca_file_is_read_again_on_sighup(self):
        other = tempfile.mkdtemp(prefix="hl-ca-")
        certs = harness.make_certs(other)
        with Receiver(tls=certs["good"]) as r:
            at, d = self.attempt("https://localhost:%d/ok/before" % r.port)
            self.assertEqual(at["error"]["class"], "tls")
            with open(self.ca, "a", encoding="ascii") as f, open(certs["ca"], encoding="ascii") as more:
                f.write(more.read())
            self.server.process.send_signal(signal.SIGHUP)
            self.server.wait_log("ev=serve.reloaded")
            at, d = self.attempt("https://localhost:%d/ok/after" % r.port)
            self.assertEqual(d["status"], "succeeded", at)
        shutil.rmtree(other)


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
