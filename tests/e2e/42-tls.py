#!/usr/bin/env python3
"""TLS towards receivers: a matrix of certificates, chains, names, versions and ciphers against real TLS servers; handshakes that
stall or break; streams cut short; sessions that must not be carried from one identity to another. Each row says whether the
request is delivered, and if not, with which class and words the webhook's owner is told."""
import os
import shutil
import signal
import socket
import ssl
import struct
import tempfile
import threading
import time
import unittest

import harness
from authority import Authority
from harness import Receiver, clean_env, until
from nameserver import Answer, NameServer

HOST = "receiver.example.test"
PAST, FUTURE = ("20200101000000Z", "20210101000000Z"), ("20990101000000Z", "20991231000000Z")


def context(pair, **options):
    """A server's context that itself refuses nothing."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.set_ciphers(options.get("ciphers", "ALL:@SECLEVEL=0"))
    c.load_cert_chain(*pair)
    c.minimum_version = options.get("min", ssl.TLSVersion.TLSv1)
    if "max" in options:
        c.maximum_version = options["max"]
    if "dh" in options:
        c.load_dh_params(options["dh"])
    if "curve" in options:
        c.set_ecdh_curve(options["curve"])
    if "asks" in options:
        c.verify_mode = options["asks"]
        c.load_verify_locations(options["ca"])
    return c


class Raw:
    """A server that hands each accepted connection to a function, in a thread, after the handshake if it has a context."""

    def __init__(self, serve, tls=None, host="127.0.0.1"):
        self.serve, self.tls, self.errors, self.requests = serve, tls, [], []
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.bind((host, 0))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        self.closing = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        try:
            if self.tls:
                c = self.tls.wrap_socket(c, server_side=True)
            self.serve(self, c)
        except (OSError, ssl.SSLError) as e:
            self.errors.append(e)
        finally:
            c.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.closing.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def answers(raw, c):
    """One request, remembered, and 204."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += c.recv(65536)
    raw.requests.append(data)
    c.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    c.unwrap()


class Case(unittest.TestCase):
    env = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hl-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.pki = Authority(cls.folder)
        cls.pki.root("ca")
        cls.ca_file = cls.pki.path("trusted.pem")
        shutil.copy(cls.pki.path("ca.crt"), cls.ca_file)
        cls.ns = NameServer()
        cls.ns.__enter__()
        cls.addClassCleanup(cls.ns.__exit__)
        cls.ns[HOST] = Answer(a=["127.0.0.1"])
        env = clean_env(**{k: v(cls.pki) for k, v in cls.env.items()})
        cls.server = harness.Server(env=env, settings={"tls.ca_file": cls.ca_file, "egress.dns_servers": cls.ns.address,
                                                       "egress.allow_networks": "127.0.0.0/8,::1",
                                                       "delivery.timeout": "20s" if harness.WRAPPED else "2s",
                                                       "delivery.park_after": "1000"}, loopback=False)
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.start()
        cls.api = cls.server.client()
        cls.n = 0

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        assert code == 0, "exit code %s\n%s" % (code, cls.server.log()[-3000:])

    def webhook(self, port, host=HOST, path="/ok", **members):
        self.__class__.n += 1
        type = "t%d" % self.n
        w = self.api.webhook("https://%s:%d%s" % (host, port, path), event_types=[type], retry=[172800], **members)
        return dict(w, type=type)

    def attempt(self, w):
        event = self.api.publish(w["type"], {})
        d = until(lambda: [d for d in self.api.deliveries(event=event["id"]) if d["attempt_count"]], w["url"])[0]
        return self.api.delivery(d["id"])["attempts"][0]

    def try_(self, port, host=HOST, path="/ok", **members):
        return self.attempt(self.webhook(port, host, path, **members))

    def row(self, name, tls, host, words, listen="127.0.0.1"):
        """words None: delivered. Else refused as "tls" with these words, before anything was sent."""
        with Raw(answers, tls, listen) as r:
            if not host.startswith("[") and not host[0].isdigit():
                self.ns[host.rstrip(".")] = Answer(a=[listen])
            at = self.try_(r.port, host)
            if words is None:
                self.assertEqual((at["outcome"], at["error"], at["http_status"]), ("succeeded", None, 204), (name, at))
                self.assertIn(at["tls"], ("TLSv1.2", "TLSv1.3"), name)
            else:
                self.assertEqual((at["outcome"], at["http_status"], at["error"]["class"]), ("failed", None, "tls"), (name, at))
                self.assertRegex(at["error"]["message"], words, name)
                self.assertEqual((at["tls"], at["response_body"]), (None, None), name)
                self.assertEqual(at["address"].rsplit(":", 1)[1], str(r.port), name)
                self.assertEqual(r.requests, [], "%s: something was sent to a receiver that is not verified" % (name,))


class Matrix(Case):
    def test_validity_and_issuers(self):
        p, san = self.pki, "DNS:" + HOST
        p.root("unknown")
        p.make("inter", "ca", ca=True)
        p.make("old", "ca", ca=True, dates=PAST)
        p.make("not-ca", "ca", san=san)
        p.make("weak", "ca", ca=True, kind="rsa1024")
        p.make("sha1-inter", "ca", ca=True, digest="sha1")
        p.make("no-sign", "ca", ca=False, extensions=("keyUsage=critical,digitalSignature",))
        mine, _ = p.make("pinned", None, san=san)
        with open(self.ca_file, "a", encoding="ascii") as f, open(mine, encoding="ascii") as m:
            f.write(m.read())
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_log("ev=serve.reloaded")
        rows = [
            ("good", p.make("good", "ca", san=san), None),
            ("through an intermediate", p.make("leaf2", "inter", san=san), None),
            ("self-signed, but in the CA file", (mine, p.path("pinned.key")), None),
            ("expired", p.make("expired", "ca", san=san, dates=PAST), "certificate has expired"),
            ("not yet valid", p.make("future", "ca", san=san, dates=FUTURE), "not yet valid"),
            ("self-signed", p.make("selfsigned", None, san=san), "self-signed"),
            ("unknown authority", p.make("alien", "unknown", san=san), "local issuer|first certificate"),
            ("missing intermediate", p.make("gap", "inter", san=san, chain=False), "local issuer|first certificate"),
            ("expired intermediate", p.make("leaf3", "old", san=san), "certificate has expired"),
            ("issuer is no authority", p.make("leaf4", "not-ca", san=san), "invalid CA certificate"),
            ("issuer may not sign", p.make("leaf5", "no-sign", san=san), "invalid CA certificate|usage"),
            ("signature with SHA-1", p.make("sha1", "ca", san=san, digest="sha1"), "in common|closed|too weak"),
            ("intermediate signed with SHA-1", p.make("leaf6", "sha1-inter", san=san), "digest algorithm too weak"),
            ("RSA of 1024 bits", p.make("rsa1024", "ca", san=san, kind="rsa1024"), "key too"),
            ("intermediate with RSA of 1024 bits", p.make("leaf7", "weak", san=san), "key too"),
            ("RSA of 2048 bits", p.make("rsa2048", "ca", san=san, kind="rsa2048"), None),
            ("for clients only", p.make("client", "ca", san=san, extensions=("extendedKeyUsage=clientAuth",)), "purpose"),
            ("an unknown critical extension", p.make("critical", "ca", san=san, extensions=("1.2.3.4=critical,ASN1:NULL",)),
             "unhandled critical"),
        ]
        for name, pair, words in rows:
            self.row(name, context(pair), HOST, words)

    def test_names(self):
        """RFC 9525: the alternative names alone count; a wildcard stands for one whole label, the leftmost."""
        other = "certificate is for another host name"
        for san, cn, host, words in (
                ("DNS:elsewhere.test", None, HOST, other),
                ("DNS:receiver.example.test", None, "RECEIVER.example.TEST.", None),
                ("DNS:RECEIVER.EXAMPLE.TEST", None, HOST, None),
                ("DNS:a.test,DNS:" + HOST, None, HOST, None),
                ("DNS:*.example.test", None, HOST, None),
                ("DNS:*.example.test", None, "a.b.example.test", other),
                ("DNS:*.example.test", None, "example.test", other),
                ("DNS:*.example.test", None, "xn--bcher-kva.example.test", None),
                ("DNS:*.*.example.test", None, "a.b.example.test", other),
                ("DNS:a.*.example.test", None, "a.b.example.test", other),
                ("DNS:rec*.example.test", None, HOST, other),
                ("DNS:*ver.example.test", None, HOST, other),
                ("DNS:r*r.example.test", None, HOST, other),
                ("DNS:xn--*.example.test", None, "xn--bcher-kva.example.test", other),
                ("DNS:*.test", None, "example.test", other),
                ("DNS:*", None, HOST, other),
                ("DNS:example.test", None, HOST, other),
                ("DNS:.example.test", None, HOST, other),
                ("DNS:receiver.example.test.evil.test", None, HOST, other),
                ("URI:https://" + HOST + "/", None, HOST, other),
                ("email:me@" + HOST, HOST, HOST, other),
                ("", HOST, HOST, other),
                ("DNS:elsewhere.test", HOST, HOST, other)):
            self.__class__.n += 1
            pair = self.pki.make("name%d" % self.n, "ca", san=san, cn=cn)
            self.row((san, cn, host), context(pair), host, words)

    def test_addresses(self):
        other = "certificate is for another address"
        for san, cn, host, words in (
                ("IP:127.0.0.1", None, "127.0.0.1", None), ("IP:127.0.0.1,DNS:x.test", None, "127.0.0.1", None),
                ("IP:127.0.0.2", None, "127.0.0.1", other), ("DNS:127.0.0.1", None, "127.0.0.1", other),
                ("DNS:" + HOST, None, "127.0.0.1", other), ("", "127.0.0.1", "127.0.0.1", other),
                ("IP:::ffff:127.0.0.1", None, "127.0.0.1", other), ("DNS:*.0.0.1", None, "127.0.0.1", other),
                ("IP:127.0.0.1", None, HOST, "certificate is for another host name")):
            self.__class__.n += 1
            self.row((san, cn, host), context(self.pki.make("ip%d" % self.n, "ca", san=san, cn=cn)), host, words)
        if has_ipv6():
            for san, words in (("IP:::1", None), ("IP:::2", other), ("DNS:" + HOST, other)):
                self.__class__.n += 1
                self.row((san, "::1"), context(self.pki.make("ip%d" % self.n, "ca", san=san)), "[::1]", words, "::1")

    def test_versions_and_ciphers(self):
        pair = self.pki.make("versions", "ca", san="DNS:" + HOST)
        rsa = self.pki.make("versions-rsa", "ca", san="DNS:" + HOST, kind="rsa2048")
        self.pki.openssl("dhparam", "-dsaparam", "-out", "dh1024.pem", "1024")
        v = ssl.TLSVersion
        for name, tls, words in (
                ("1.3", context(pair, min=v.TLSv1_3), None), ("1.2", context(pair, max=v.TLSv1_2), None),
                ("1.1", context(pair, max=v.TLSv1_1), "neither TLS 1.2 nor TLS 1.3"),
                ("1.0", context(pair, max=v.TLSv1), "neither TLS 1.2 nor TLS 1.3"),
                ("no encryption", context(rsa, max=v.TLSv1_2, ciphers="eNULL:@SECLEVEL=0"), "in common"),
                ("no authentication", context(rsa, max=v.TLSv1_2, ciphers="aNULL:@SECLEVEL=0"), "in common"),
                ("a weak Diffie-Hellman group", context(rsa, max=v.TLSv1_2, ciphers="DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
                                                        dh=self.pki.path("dh1024.pem")), "dh key too small|in common"),
                ("a good one", context(rsa, max=v.TLSv1_2, ciphers="ECDHE-RSA-AES128-GCM-SHA256"), None),
                ("a client certificate, if there is one", context(pair, asks=ssl.CERT_OPTIONAL, ca=self.ca_file), None)):
            self.row(name, tls, HOST, words)
        for name, max in (("1.2", v.TLSv1_2), ("1.3", v.TLSv1_3)):
            with Receiver(tls=context(pair, asks=ssl.CERT_REQUIRED, ca=self.ca_file, max=max)) as r:
                at = self.try_(r.port)
                self.assertIn(at["error"]["class"], ("tls", "reset"), name)
                self.assertEqual(r.records, [], name)

    def test_huge_chains(self):
        """Too deep, or too long a message: refused before it is read to the end."""
        san = "DNS:" + HOST
        deep = "ca"
        for i in range(12):
            self.pki.make("deep%d" % i, deep, ca=True)
            deep = "deep%d" % i
        self.row("ten intermediates", context(self.pki.make("under9", "deep9", san=san)), HOST, None)
        self.row("twelve intermediates", context(self.pki.make("under11", deep, san=san)), HOST, "chain too long|local issuer|depth")
        many = ",".join([san] + ["DNS:host-number-%05d.a-long-name-for-a-host.example.test" % i for i in range(2500)])
        self.row("a certificate of over 100 KB", context(self.pki.make("huge", "ca", san=many)), HOST, "excessive|too long")
        pair = self.pki.make("good2", "ca", san=san)
        with open(pair[0], "a", encoding="ascii") as f:
            f.write(self.pki.read("deep0.crt") * 300)
        self.row("300 certificates", context(pair), HOST, "excessive|too long")


class LoweredByConfiguration(Case):
    """A machine whose OpenSSL allows everything: our rules are our own."""
    env = {"OPENSSL_CONF": lambda pki: weak_conf(pki)}

    def test_still_refused(self):
        p, san, v = self.pki, "DNS:" + HOST, ssl.TLSVersion
        p.make("sha1-inter", "ca", ca=True, digest="sha1")
        good = p.make("good", "ca", san=san)
        for name, tls, words in (
                ("good", context(good), None), ("1.1", context(good, max=v.TLSv1_1), "neither TLS 1.2 nor TLS 1.3"),
                ("RSA of 1024 bits", context(p.make("rsa1024", "ca", san=san, kind="rsa1024")), "key too"),
                ("intermediate signed with SHA-1", context(p.make("leaf6", "sha1-inter", san=san)), "digest algorithm too weak"),
                ("no authentication", context(good, max=v.TLSv1_2, ciphers="aNULL:@SECLEVEL=0"), "in common"),
                ("no encryption", context(good, max=v.TLSv1_2, ciphers="eNULL:@SECLEVEL=0"), "in common")):
            self.row(name, tls, HOST, words)


def weak_conf(pki):
    pki.write("weak.cnf", "openssl_conf=a\n[a]\nssl_conf=b\n[b]\nsystem_default=c\n[c]\nMinProtocol=TLSv1\n"
              "CipherString=ALL:eNULL:@SECLEVEL=0\n")
    return pki.path("weak.cnf")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Streams(Case):
    def setUp(self):
        if not hasattr(Streams, "pair"):
            Streams.pair = self.pki.make("streams", "ca", san="DNS:" + HOST)

    def expect(self, at, outcome, classes, status):
        self.assertEqual((at["outcome"], at["http_status"]), (outcome, status), at)
        self.assertIn(at["error"] and at["error"]["class"], classes, at)

    def test_broken_handshakes(self):
        hello = b"\x16\x03\x03\x40\x00"     # a record that announces 16 KiB

        def silent(raw, c):
            raw.closing.wait(20)

        def half(raw, c):
            c.recv(4096)
            c.sendall(hello + b"\x02\x00\x3f\xfc")
            raw.closing.wait(20)

        def trickles(raw, c):
            c.recv(4096)
            for b in hello + b"\x02\x00\x3f\xfc" + bytes(200):
                c.sendall(bytes([b]))
                if raw.closing.wait(0.05):
                    return

        def fin(raw, c):
            c.recv(4096)

        def reset(raw, c):
            c.recv(4096)
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        def plain(raw, c):
            c.recv(4096)
            c.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        def talks_first(raw, c):
            c.sendall(b"220 mail.example.test ESMTP\r\n")
            raw.closing.wait(20)

        def alert(raw, c):
            c.recv(4096)
            c.sendall(b"\x15\x03\x03\x00\x02\x02\x28")

        def unknown_name(raw, c):
            c.recv(4096)
            c.sendall(b"\x15\x03\x03\x00\x02\x02\x70")

        def notify(raw, c):
            c.recv(4096)
            c.sendall(b"\x15\x03\x03\x00\x02\x01\x00")

        def noise(raw, c):
            c.recv(4096)
            c.sendall(os.urandom(5000))

        with Raw(silent) as patient:    # a long timeout does not make a handshake any longer
            at = self.api.post("/v1/webhooks/%s/verify" % self.webhook(patient.port, timeout=30)["id"]).json["attempt"]
            self.assertEqual((at["error"]["class"], at["tls"]), ("timeout", None))
            self.assertRegex(at["error"]["message"], "no TLS handshake within 5000 ms")
        for serve, classes in ((silent, ("timeout",)), (half, ("timeout",)), (trickles, ("timeout", "tls")), (fin, ("tls",)),
                               (reset, ("tls",)), (plain, ("tls",)), (talks_first, ("tls",)), (alert, ("tls",)), (unknown_name, ("tls",)),
                               (notify, ("tls",)), (noise, ("tls",))):
            with Raw(serve) as raw:
                at = self.try_(raw.port, timeout=1)
                self.assertEqual((at["outcome"], at["http_status"], at["tls"]), ("failed", None, None), serve.__name__)
                self.assertIn(at["error"]["class"], classes, (serve.__name__, at))
                self.assertGreater(len(at["error"]["message"]), 10, serve.__name__)
                self.assertLess(at["times_ms"]["total"], 2000 if not harness.SANITIZED else 8000, serve.__name__)

    def test_stalled_handshakes_hold_nobody_up(self):
        """A hundred of them, while honest receivers are served."""
        with Raw(lambda raw, c: raw.closing.wait(30)) as raw, Receiver(tls=context(self.pair)) as r:
            hung = self.api.webhook("https://%s:%d/" % (HOST, raw.port), event_types=["stall"], max_in_flight=50, timeout=10)
            fine = [self.api.webhook("https://%s:%d/close-after/%d" % (HOST, r.port, i), event_types=["stall"]) for i in range(5)]
            began = time.monotonic()
            for i in range(20):
                self.api.publish("stall", i)
            r.wait(100, harness.PATIENCE)
            self.assertLess(time.monotonic() - began, 5 if not harness.SANITIZED else 15)
            for w in [hung] + fine:
                self.assertEqual(self.api.delete("/v1/webhooks/" + w["id"]).status, 204)

    def test_streams_cut_short(self):
        """Without close_notify nobody knows whether it was the end: only an answer that says its own length is whole."""
        def saying(answer, notify):
            def serve(raw, c):
                while b"\r\n\r\n" not in c.recv(65536):
                    pass
                c.sendall(answer)
                if notify:
                    c.unwrap()
            return serve
        head = b"HTTP/1.1 200 OK\r\n"
        whole, half = head + b"Content-Length: 4\r\n\r\nbody", head + b"Content-Length: 9\r\n\r\nbody"
        unsized, chunked = head + b"\r\nbody", head + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n"
        for name, answer, notify, outcome, classes, status in (
                ("length, notify", whole, True, "succeeded", (None,), 200), ("length, cut", whole, False, "succeeded", (None,), 200),
                ("too short, notify", half, True, "failed", ("reset",), 200), ("too short, cut", half, False, "failed", ("reset",), 200),
                ("no length, notify", unsized, True, "succeeded", (None,), 200),
                ("no length, cut", unsized, False, "failed", ("reset",), 200),
                ("chunked whole, cut", chunked + b"0\r\n\r\n", False, "succeeded", (None,), 200),
                ("chunked open, notify", chunked, True, "failed", ("reset",), 200),
                ("chunked open, cut", chunked, False, "failed", ("reset",), 200),
                ("half a head, notify", head, True, "failed", ("reset", "protocol"), None),
                ("half a head, cut", head, False, "failed", ("reset", "protocol"), None),
                ("nothing, notify", b"", True, "failed", ("reset",), None), ("nothing, cut", b"", False, "failed", ("reset",), None)):
            with Raw(saying(answer, notify), context(self.pair)) as raw:
                at = self.try_(raw.port, path="/" + name.replace(" ", "-").replace(",", ""))
                self.expect(at, outcome, classes, status)

    def test_a_record_that_is_not_the_receivers(self):
        """Somebody on the way writes into the stream."""
        def serve(raw, c):
            while b"\r\n\r\n" not in c.recv(65536):
                pass
            with socket.socket(fileno=os.dup(c.fileno())) as wire:
                wire.sendall(b"\x17\x03\x03\x00\x40" + os.urandom(64))
                raw.closing.wait(10)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with Raw(serve, context(self.pair, max=version)) as raw:
                self.expect(self.try_(raw.port), "failed", ("tls",), None)


class Sessions(Case):
    """A resumed handshake shows no certificate, so a session is offered only to whom it was made with."""

    def handshakes(self):
        text = harness.Client(self.server, None).get("/metrics").body.decode()
        return [int(line.split()[1]) for kind in ("no", "yes") for line in text.splitlines()
                if line.startswith('hookline_tls_handshakes_total{resumed="%s"}' % kind)]

    def resumed(self, w):
        """Was the handshake of one more attempt a resumed one? The attempt must succeed."""
        before = self.handshakes()
        at = self.attempt(w)
        self.assertEqual(at["outcome"], "succeeded", at)
        full, again = (a - b for a, b in zip(self.handshakes(), before))
        self.assertEqual(full + again, 1)
        return again == 1

    def test_other_name_port_address(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            tls = context(self.pki.make("both%d" % version, "ca", san="DNS:a.session.test,DNS:b.session.test,IP:127.0.0.1"), max=version)
            for name in ("a", "b"):
                self.ns[name + ".session.test"] = Answer(a=["127.0.0.1"])
            with Receiver(tls=tls) as r, Receiver(tls=tls) as s:    # one context: either would resume the other's sessions
                a, b, port, literal = (self.webhook(p, h, "/close-after") for p, h in (
                    (r.port, "a.session.test"), (r.port, "b.session.test"), (s.port, "a.session.test"), (r.port, "127.0.0.1")))
                self.assertEqual([self.resumed(w) for w in (a, a, b, b, port, port, literal, literal, a, b, port)],
                                 [False, True] * 4 + [True] * 3, version)

    def test_other_address_of_the_same_name(self):
        tls = context(self.pki.make("twice", "ca", san="DNS:two.session.test"))
        first = Receiver("127.0.0.1", tls=tls).start()
        with Receiver("127.0.0.2", first.port, tls=tls):
            self.ns["two.session.test"] = Answer(a=["127.0.0.1", "127.0.0.2"])
            w = self.webhook(first.port, "two.session.test", "/close-after")
            self.assertEqual([self.resumed(w), self.resumed(w)], [False, True])
            first.stop()
            self.assertEqual([self.resumed(w), self.resumed(w)], [False, True])

    def test_a_session_is_no_passport(self):
        """A receiver we know well, under a name its certificate does not have: refused, although it would resume."""
        tls = context(self.pki.make("known", "ca", san="DNS:known.session.test"))
        for name in ("known", "victim"):
            self.ns[name + ".session.test"] = Answer(a=["127.0.0.1"])
        with Receiver(tls=tls) as r:
            known, victim = (self.webhook(r.port, n + ".session.test", "/close-after") for n in ("known", "victim"))
            self.assertEqual([self.resumed(known), self.resumed(known)], [False, True])
            n = r.n_requests
            at = self.attempt(victim)
            self.assertEqual((at["error"]["class"], r.n_requests), ("tls", n), at)
            self.assertTrue(self.resumed(known))
            kept = self.webhook(r.port, "known.session.test", "/keep/30")
            self.assertEqual(self.attempt(kept)["outcome"], "succeeded")
            at = self.attempt(victim)
            self.assertEqual(at["error"] and at["error"]["class"], "tls", "a kept connection is no passport either")

    def test_no_session_outlives_its_authority(self):
        self.pki.root("passing")
        with open(self.ca_file, encoding="ascii") as f:
            before = f.read()
        self.trust(before + self.pki.read("passing.crt"))
        with Receiver(tls=context(self.pki.make("under", "passing", san="DNS:" + HOST))) as r:
            w = self.webhook(r.port, path="/close-after")
            self.assertEqual([self.resumed(w), self.resumed(w)], [False, True])
            kept = self.webhook(r.port, path="/ok")
            self.assertEqual(self.attempt(kept)["outcome"], "succeeded")
            self.trust(before)
            self.assertEqual(self.attempt(w)["error"]["class"], "tls")

    def trust(self, text):
        with open(self.ca_file, "w", encoding="ascii") as f:
            f.write(text)
        n = self.server.log().count("ev=serve.reloaded")
        self.server.process.send_signal(signal.SIGHUP)
        until(lambda: self.server.log().count("ev=serve.reloaded") > n, "the reload")


class Shown(Case):
    def test_to_the_user(self):
        """verify, the webhook, its statistics and the delivery tell the same sentence; nothing of it is in the log."""
        pair = self.pki.make("gone", "ca", san="DNS:" + HOST, dates=PAST)
        with Receiver(tls=context(pair)) as r:
            w = self.webhook(r.port)
            self.attempt(w)
            want = {"class": "tls", "message": "certificate has expired"}
            v = self.api.post("/v1/webhooks/%s/verify" % w["id"]).json
            self.assertEqual((v["success"], v["url_allowed"], v["attempt"]["error"]), (False, True, want))
            self.assertEqual(self.api.get("/v1/webhooks/" + w["id"]).json["last_failure_message"], want["message"])
            self.assertEqual(self.api.get("/v1/webhooks/%s/stats" % w["id"]).json["last_error"], want)
            self.assertEqual(self.api.deliveries(webhook=w["id"])[0]["last_error"], want)


if __name__ == "__main__":
    harness.main()
