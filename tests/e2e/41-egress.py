#!/usr/bin/env python3
"""What a webhook may reach: judged at creation, at every change and at every attempt, in every API; a third judge of
addresses (Python's ipaddress); name servers that change their minds, mix, chain and lie; redirects; kept connections; what
tenants learn and what operators learn. Receivers stand at several addresses of 127.0.0.0/8, some allowed, some not."""
import ipaddress
import json
import os
import random
import re
import signal
import socket
import unittest

import harness
from harness import Client, Receiver, until
from nameserver import NXDOMAIN, SERVFAIL, Answer, NameServer

GOOD, OTHER, BAD = "127.0.0.2", "127.0.0.4", "127.0.0.3"   # the first two are in allow_networks
CLASS = {"class": "blocked_address", "message": "the address is not allowed"}
DIALECTS = (("cs2cap", "/account/webhooks", "Authorization", {"label": "l"}), ("aboutyou", "/api/v1/webhooks/", "X-API-Key", {}),
            ("stellarstack", "/webhooks", "Authorization", {"events": ["backup.failed"]}),
            ("bitnob", "/webhooks", "X-API-Key", {"name": "n"}))


def receivers(*hosts):
    """One at each host, all on the same port."""
    while True:
        probes = [socket.socket() for _ in hosts]
        try:
            for s, h in zip(probes, hosts):
                s.bind((h, probes[0].getsockname()[1]))
            port = probes[0].getsockname()[1]
        except OSError:
            continue
        finally:
            for s in probes:
                s.close()
        return [Receiver(h, port).start() for h in hosts]


class Case(unittest.TestCase):
    """One server, one name server, receivers at GOOD, OTHER and BAD on one port."""
    networks = "127.0.0.2,127.0.0.4,127.0.2.0/24"
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.ns = NameServer()
        cls.ns.__enter__()
        cls.addClassCleanup(cls.ns.__exit__)
        cls.good, cls.other, cls.bad = receivers(GOOD, OTHER, BAD)
        for r in (cls.good, cls.other, cls.bad):
            cls.addClassCleanup(r.stop)
        cls.port = cls.good.port
        cls.server = harness.Server(settings=dict({"egress.allow_networks": cls.networks, "egress.dns_servers": cls.ns.address,
                                                   "delivery.timeout": "4s", "delivery.park_after": "1000"}, **cls.settings),
                                    loopback=False)
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.start()
        cls.api = cls.server.client()
        cls.n = 0

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        assert code == 0, "exit code %s\n%s" % (code, cls.server.log()[-3000:])
        code, out, err = cls.server.check()
        assert code == 0 and "clean" in out, "check: %d\n%s%s" % (code, out, err)
        assert cls.bad.n_connections == 0, "somebody reached the forbidden receiver: %r" % cls.bad.records[:3]

    def name(self, answers):
        """A new name that has these answers."""
        Case.n = getattr(Case, "n", 0) + 1
        name = "n%d.test" % Case.n
        self.ns[name] = answers
        return name

    def webhook(self, name, path="/ok", **members):
        self.__class__.n += 1
        type = "t%d" % self.n
        w = self.api.webhook("http://%s:%d%s" % (name, self.port, path), event_types=[type], **dict({"retry": [172800]}, **members))
        return dict(w, type=type)

    def attempt(self, w):
        """One more event for the webhook, and its first attempt."""
        event = self.api.publish(w["type"], {})
        d = until(lambda: [d for d in self.api.deliveries(event=event["id"], webhook=w["id"]) if d["attempt_count"]], w["url"])[0]
        return self.api.delivery(d["id"])["attempts"][0]

    def try_(self, answers, path="/ok", **members):
        return self.attempt(self.webhook(self.name(answers), path, **members))

    def forget_names(self):
        """Empties the program's memory of names, as an operator would."""
        self.n_reloads = getattr(self, "n_reloads", 0) + 1
        before = self.server.log().count("ev=serve.reloaded")
        self.server.process.send_signal(signal.SIGHUP)
        until(lambda: self.server.log().count("ev=serve.reloaded") > before, "the reload")

    def blocked(self, at, why=None):
        self.assertEqual((at["error"], at["http_status"], at["address"], at["response_body"]), (CLASS, None, None, None), why)
        self.assertEqual(self.bad.n_connections, 0, why)

    def delivered(self, at, address=GOOD):
        self.assertEqual((at["outcome"], at["address"]), ("succeeded", "%s:%d" % (address, self.port)), at)


class Rebinding(Case):
    def test_the_answer_changes_after_the_judgement(self):
        """What was judged is connected to: the name is asked for once, and a changed answer is judged like the first."""
        for flip in ([Answer(a=[GOOD], ttl=0), Answer(a=[BAD], ttl=0)], [Answer(a=[GOOD], ttl=1), Answer(aaaa=["::1"], ttl=1)],
                     [Answer(a=[GOOD], ttl=0), Answer(a=[GOOD, BAD], ttl=0)],
                     [Answer(a=[GOOD], ttl=0), Answer(cname=["rebound.test"], a=[BAD], ttl=0)]):
            name = self.name(flip)
            w = self.webhook(name)
            self.delivered(self.attempt(w))
            self.assertEqual((self.ns.asked(name, "A"), self.ns.asked(name, "AAAA")), (1, 1))
            self.delivered(self.attempt(w))     # a TTL of nothing is kept for a while: no second question, no second answer
            self.assertEqual(self.ns.asked(name, "A"), 1)
            self.forget_names()
            self.blocked(self.attempt(w))
            self.assertEqual(self.ns.asked(name, "A"), 2)

    def test_the_other_way_round(self):
        name = self.name([Answer(a=[BAD]), Answer(a=[GOOD])])
        w = self.webhook(name)
        self.blocked(self.attempt(w))
        self.forget_names()
        self.delivered(self.attempt(w))

    def test_one_forbidden_address_spoils_the_answer(self):
        for answer in (Answer(a=[GOOD, BAD]), Answer(a=[BAD, GOOD]), Answer(a=[GOOD] * 20 + [BAD] + [GOOD] * 20),
                       Answer(a=[GOOD], aaaa=["::1"]), Answer(a=[GOOD], aaaa=["fe80::1"]), Answer(a=[GOOD], aaaa=["::ffff:" + BAD]),
                       Answer(a=[GOOD], aaaa=["64:ff9b::7f00:2"]), Answer(a=[GOOD], aaaa=["2002:7f00:2::1"]),
                       Answer(a=[GOOD, "0.0.0.0"]), Answer(a=[GOOD, "169.254.169.254"]), Answer(a=[GOOD], aaaa=["fd00:ec2::254"]),
                       Answer(aaaa=["::7f00:2"]), Answer(aaaa=["2606:4700::5efe:7f00:2"]), Answer(a=[GOOD, "224.0.0.1"])):
            self.blocked(self.try_(answer), vars(answer))

    def test_mapped_answers_are_judged_as_ipv4(self):
        self.blocked(self.try_(Answer(aaaa=["::ffff:" + BAD])))
        at = self.try_(Answer(aaaa=["::ffff:" + GOOD]))
        self.assertNotEqual(at["error"], CLASS)

    def test_chains(self):
        self.delivered(self.try_(Answer(cname=["b.chain.test", "c.chain.test"], a=[GOOD])))
        for chain in (["b.chain.test", "c.chain.test"], ["localhost"], ["metadata.google.internal"], ["x"],
                      ["h%d.chain.test" % i for i in range(15)]):
            self.blocked(self.try_(Answer(cname=chain, a=[BAD], ttl=0)), chain)
        # where an alias leads is judged by its address alone: a local-sounding name with an allowed address is a public name
        self.delivered(self.try_(Answer(cname=["printer.local"], a=[GOOD])))
        self.blocked(self.try_(Answer(cname=["127.0.0.2.test"], a=[BAD])))

    def test_chains_without_an_end(self):
        for answer in (Answer(cname=["nowhere.test"]), Answer(cname=["nowhere.test"], rcode=NXDOMAIN), Answer(),
                       Answer(rcode=NXDOMAIN), Answer(rcode=SERVFAIL)):
            at = self.try_(answer)
            self.assertEqual((at["error"]["class"], at["address"], at["http_status"]), ("dns", None, None), vars(answer))
        name = self.name(Answer())
        self.ns[name] = Answer(cname=["loop.test", name])
        self.assertEqual(self.attempt(self.webhook(name))["error"]["class"], "dns")

    def test_no_answer_at_all(self):
        for answer in (Answer(silent=True), Answer(garbage=True)):
            at = self.try_(answer, timeout=1)
            self.assertEqual((at["error"]["class"], at["address"]), ("timeout", None))

    def test_answers_of_other_names(self):
        """Records nobody asked for neither help nor harm."""
        for first in (True, False):
            at = self.try_(Answer(others=[("other.test", "A", GOOD)], others_first=first))
            self.assertEqual(at["error"]["class"], "dns")
            at = self.try_(Answer(a=[GOOD], others=[("other.test", "A", BAD)], others_first=first))
            self.assertTrue(at["outcome"] == "succeeded" or at["error"] == CLASS, at)
            at = self.try_(Answer(a=[GOOD], others=[("other.test", "CNAME", "x.test")], others_first=first))
            self.assertTrue(at["outcome"] == "succeeded" or at["error"]["class"] == "dns", at)
            self.blocked(self.try_(Answer(a=[BAD], others=[("other.test", "A", GOOD)], others_first=first)))
        # what an answer says of another name is not remembered for it
        self.ns["victim.test"] = Answer(a=[GOOD])
        self.try_(Answer(a=[GOOD], others=[("victim.test", "A", OTHER)]))
        self.delivered(self.attempt(self.webhook("victim.test")))

    def test_guessed_answers(self):
        for lies in (["id"], ["question"], ["id", "question", "id"]):
            at = self.try_(Answer(a=[GOOD], lies=lies, lie=[OTHER]))
            self.delivered(at)

    def test_huge_answers(self):
        """By TCP. All addresses are judged; a name with more than 64 is refused whole."""
        far = ["127.0.2.%d" % i for i in range(1, 64)]
        self.delivered(self.try_(Answer(a=[GOOD] + far)))
        self.blocked(self.try_(Answer(a=[GOOD] + far[:-1] + [BAD])))
        for answer in (Answer(a=[GOOD] + far + ["127.0.2.64"]), Answer(a=[GOOD] + far + [BAD]), Answer(a=[GOOD] + far, aaaa=["::1"]),
                       Answer(a=[GOOD] + far + ["127.0.%d.%d" % (2 + i // 200, 1 + i % 200) for i in range(2000)])):
            at = self.try_(answer)
            self.assertEqual((at["error"]["class"], at["address"]), ("dns", None))

    def test_trust_belongs_to_the_name_of_the_url(self):
        """allow_hosts names a receiver; an alias that leads there is not it."""
        self.ns["trusted.test"] = Answer(a=[BAD])
        self.blocked(self.try_(Answer(cname=["trusted.test"], a=[BAD])))

    def test_kept_connections_stay_with_their_address(self):
        """While the name's answer is remembered its kept connection is used; when the name moves, only the new address counts,
        however good the old connection still is."""
        moves, forbidden = self.name([Answer(a=[GOOD], ttl=0), Answer(a=[OTHER], ttl=0)]), self.name([Answer(a=[GOOD], ttl=0), Answer(a=[BAD])])
        hooks = [self.webhook(name, "/keep/50") for name in (moves, forbidden)]
        before = self.good.n_connections
        got = [[self.attempt(w)] for w in hooks]

        def again():
            for w, seen in zip(hooks, got):
                seen.append(self.attempt(w))
            return self.ns.asked(moves, "A") > 1 and self.ns.asked(forbidden, "A") > 1
        until(again, "a TTL of nothing to pass", every=0.2)
        self.delivered(got[0][-1], OTHER)
        self.blocked(got[1][-1])
        self.assertEqual(self.good.n_connections - before, 2)
        for seen in got:
            self.assertGreater(len(seen), 3)
            for at in seen[:-2]:
                self.delivered(at)

    def test_kept_connections_stay_with_their_name(self):
        """Two names at one address: two connections, each with its own Host."""
        before = self.other.n_connections
        webhooks = [self.webhook(self.name(Answer(a=[OTHER]))) for _ in range(2)]
        for w in webhooks * 2:
            self.delivered(self.attempt(w), OTHER)
        self.assertGreaterEqual(self.other.n_connections - before, 2)
        hosts = [r["headers"]["host"] for r in self.other.records[-4:]]
        self.assertEqual(hosts, [w["url"].split("/")[2] for w in webhooks * 2])

    def test_redirects_are_not_followed(self):
        """Neither to forbidden places nor to allowed ones; the name in Location is not even looked up."""
        self.ns["redirected.test"] = Answer(a=[OTHER])
        n_other = self.other.n_connections
        for code in (300, 301, 302, 303, 307, 308):
            for to in ("%s:%d/ok" % (BAD, self.port), "%s:%d/ok" % (OTHER, self.port), "redirected.test:%d/ok" % self.port):
                at = self.try_(Answer(a=[GOOD]), "/redirect-to/%d/%s" % (code, to))
                self.assertEqual((at["outcome"], at["http_status"], at["error"]["class"]), ("failed", code, "http_status"))
        at = self.try_(Answer(a=[GOOD]), "/apps-script", format="google_sheets")
        self.assertEqual((at["outcome"], at["http_status"]), ("succeeded", 302))
        at = self.try_(Answer(a=[GOOD]), "/apps-script")
        self.assertEqual((at["outcome"], at["http_status"]), ("failed", 302))
        self.assertEqual((self.ns.asked("redirected.test"), self.ns.asked("script.googleusercontent.com")), (0, 0))
        self.assertEqual((self.other.n_connections, self.bad.n_connections), (n_other, 0))

    def test_names_are_absolute(self):
        """As FQDN, whatever resolv.conf says; a hosts file or search list cannot lend a suffix."""
        name = self.name(Answer(a=[GOOD]))
        self.delivered(self.attempt(self.webhook(name)))
        self.assertEqual(self.ns.asked(name, "A"), 1)
        with self.ns.lock:
            self.assertEqual([n for n, _ in self.ns.counts if n.startswith(name + ".")], [])


class Judged(Case):
    """At creation, at a change, at an attempt; in every API."""

    # (URL without port where {} stands for ":PORT", code of the native API)
    FORBIDDEN = [("http://%s{}/" % h, "address_blocked") for h in (
        "127.0.0.1", "127.0.0.1.", BAD, "10.0.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.100.100.200", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "168.63.129.16", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[fe80::1]",
        "[fd00:ec2::254]", "[::127.0.0.2]", "[64:ff9b::127.0.0.2]", "[2002:7f00:2::]", "[2001:0:1:1::]", "[2606:4700::5efe:127.0.0.2]",
        "[ff02::1]", "[4000::1]", "[3fff::1]", "localhost", "LOCALHOST", "localhost.", "a.localhost", "x.local", "metadata.google.internal",
        "home.arpa", "db", "kubernetes", "_x")]
    FORBIDDEN += [("http://%s{}/" % h, "url_not_allowed") for h in (
        "127.1", "127.0.2", "2130706434", "0x7f.2", "0x7f000002", "0177.0.0.2", "017700000002", "127.0.0.02", "127.0.0.0x2", "127.0.0.2..",
        "127.0.0.256", "1.2.3.4.5", "[::ffff:127.0.0.2]", "[::FFFF:7f00:2]", "[fe80::1%25lo]", "[fe80::1%lo]", "[127.0.0.2]", "[::1", "::1",
        "127.0.0.2%00", "127%2e0%2e0%2e2", "%31%32%37.0.0.2", "\uff11\uff12\uff17.0.0.2", "127\u30020\u30020\u30022", "127\uff0e0.0.2",
        "\u2460.test", "m\u00fcnchen.test", "user@127.0.0.2", "user:pass@good.test", "good.test@127.0.0.3", "good.test\\@127.0.0.3",
        "good.test%40127.0.0.3", "good.test\t", "go\tod.test", "good.test\n", " good.test", "good.test ", "", ".", "-a.test", "a..test",
        "a" * 64 + ".test", ("a" * 49 + ".") * 6 + "test", "a_b!.test")]
    FORBIDDEN += [(u, "url_not_allowed") for u in (
        "http://good.test:0/", "http://good.test:65536/", "http://good.test:/", "http://good.test:-1/", "http://good.test:080/",
        "http://good.test:8 0/", "http://good.test:99999999999/", "http://good.test:22/", "http://good.test:25/", "http://good.test:6667/",
        "http://good.test:10080/", "http://good.test:1023/", "http://good.test{}/#f", "http:good.test/", "http:/good.test/", "//good.test/",
        "good.test", "ftp://good.test/", "file:///etc/passwd", "gopher://good.test/", "unix:/run/x.sock", "javascript:alert(1)",
        "https://good.test/%", "http:\\\\good.test\\", "HTTP://good.test{}/\u0000", "http://good.test{}/\r\nHost: x", "")]

    def forbidden(self):
        return [(u.replace("{}", ":%d" % self.port), code) for u, code in self.FORBIDDEN]

    def test_at_creation_and_at_a_change(self):
        self.ns["good.test"] = Answer(a=[GOOD])
        kept = self.api.webhook("http://good.test:%d/ok" % self.port)
        n = len(self.api.get("/v1/webhooks?limit=250").json["data"])
        for url, code in self.forbidden():
            for a in (self.api.post("/v1/webhooks", {"url": url}), self.api.patch("/v1/webhooks/" + kept["id"], {"url": url})):
                self.assertEqual(a.status, 400 if "\0" in url else 422, (url, a))
                self.assertIn(a.json["code"], (code, "invalid", "bad_json") if not url or "\0" in url else (code,), (url, a))
                self.assertEqual(a.json["errors"][0]["pointer"], "/url", (url, a))
        self.assertEqual(len(self.api.get("/v1/webhooks?limit=250").json["data"]), n)
        now = self.api.get("/v1/webhooks/" + kept["id"]).json
        self.assertEqual((now["url"], now["updated_at"]), (kept["url"], kept["updated_at"]))

    def speaking(self, dialect, header):
        key = self.api.post("/v1/keys", {"scopes": ["read", "manage"], "dialect": dialect}).json["key"]
        c = Client(self.server, None)
        c.headers = {header: key if header == "X-API-Key" else "Bearer " + key}
        return c

    def test_in_every_dialect(self):
        for dialect, root, header, members in DIALECTS:
            c = self.speaking(dialect, header)
            scheme = "https" if dialect == "bitnob" else "http"
            a = c.post(root, dict(members, url="%s://good.test:%d/ok" % (scheme, self.port)))
            self.assertIn(a.status, (200, 201), (dialect, a))
            id = a.json.get("webhook", a.json)["id"]
            for n, (url, _) in enumerate(self.forbidden()):
                if n % 20 == 0:
                    c = self.speaking(dialect, header)      # aboutyou's limit of requests is one for each key
                if scheme == "https":
                    url = re.sub("^http:", "https:", url)
                for a in (c.post(root, dict(members, url=url)), c.patch("%s/%s" % (root.rstrip("/"), id), {"url": url})):
                    self.assertIn(a.status, (400, 422), (dialect, url, a))
                    for word in (b"RFC", b"private", b"loopback", b"local", b"allow_networks"):
                        self.assertNotIn(word, a.body, (dialect, url, a))
            mine = [w for w in self.api.get("/v1/webhooks?limit=250&dialect=" + dialect).json["data"]]
            self.assertEqual([w["url"] for w in mine], ["%s://good.test:%d/ok" % (scheme, self.port)])
            self.assertEqual(self.api.delete("/v1/webhooks/" + mine[0]["id"]).status, 204)

    def test_headers(self):
        self.ns["good.test"] = Answer(a=[GOOD])
        kept = self.webhook("good.test", headers={"X-Mine": "yes"})
        for name, value in (("Host", "127.0.0.3"), ("host", "x"), ("Content-Length", "0"), ("Transfer-Encoding", "chunked"), ("Connection", "x"),
                            ("Keep-Alive", "x"), ("TE", "trailers"), ("Trailer", "x"), ("Upgrade", "h2c"), ("Expect", "100-continue"),
                            ("Proxy-Authorization", "x"), ("Proxy-Connection", "x"), ("webhook-id", "x"), ("Webhook-Signature", "x"),
                            ("hookline-attempt", "9"), ("Content-Type", "text/plain"), ("Content-Encoding", "gzip"), ("User-Agent", "x"),
                            ("X: y\r\nHost", "x"), ("X Y", "x"), ("", "x"), ("X\u00e4", "x"), ("X:", "x"),
                            ("X-V", "a\r\nHost: 127.0.0.3"), ("X-V", "a\nb"), ("X-V", "a\u0000b"), ("X-V", "\u00e4"), ("X-V", " a")):
            for a in (self.api.post("/v1/webhooks", {"url": kept["url"], "headers": {name: value}}),
                      self.api.patch("/v1/webhooks/" + kept["id"], {"headers": {name: value}})):
                self.assertEqual((a.status, a.json["code"]), (422, "invalid"), (name, value, a))
                self.assertTrue(a.json["errors"][0]["pointer"].startswith("/headers"), (name, a))
        self.delivered(self.attempt(kept))
        h = self.good.records[-1]["headers"]
        self.assertEqual((h["x-mine"], h["host"]), ("yes", "good.test:%d" % self.port))

    def test_a_third_judge(self):
        """Addresses by chance, judged by Python; the program is asked through its API, as anybody would."""
        w = self.api.webhook("http://good.test/")
        seed = int(os.environ.get("HOOKLINE_EGRESS_SEED", "20261120"))
        chance = random.Random(seed)
        nets = [ipaddress.ip_network(n) for n in self.networks.split(",")]
        yes = 0
        for _ in range(int(os.environ.get("HOOKLINE_EGRESS_LITERALS", "400" if harness.SANITIZED else "1500"))):
            ip = random_ip(chance)
            host = "[%s]" % ip if ip.version == 6 else str(ip)
            a = self.api.patch("/v1/webhooks/" + w["id"], {"url": "http://%s/" % host})
            want = any(ip.version == n.version and ip in n for n in nets) or may_be_reached(ip)
            self.assertEqual(a.status == 200, want, (seed, ip, a))
            if not want:
                self.assertIn(a.json["code"], ("address_blocked", "url_not_allowed"))
            yes += want
        self.assertGreater(yes, 50)
        self.assertEqual(self.api.delete("/v1/webhooks/" + w["id"]).status, 204)


# Written down from the IANA registries, not from the program's table.
SPECIAL = [ipaddress.ip_network(n) for n in """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
    240.0.0.0/4 168.63.129.16/32 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20
    5f00::/16 fc00::/7 fe80::/10""".split()]


def may_be_reached(ip):
    if ip.version == 6 and (ip.ipv4_mapped or ip not in ipaddress.ip_network("2000::/3") or ip.sixtofour or ip.teredo):
        return False
    if ip.version == 6 and int(ip) >> 32 & 0xfdffffff == 0x5efe:
        return False
    if ip.is_multicast or ip.is_unspecified or ip.is_loopback or ip.is_link_local or ip.is_reserved or ip.is_private:
        return False
    return not any(ip.version == n.version and ip in n for n in SPECIAL)


def random_ip(chance):
    """Half of them at the edge of something."""
    if chance.random() < 0.5:
        n = chance.choice(SPECIAL)
        at = int(chance.choice([n.network_address, n.broadcast_address])) + chance.choice([-1, 0, 1])
        top = 2 ** n.max_prefixlen
        return (ipaddress.IPv4Address if n.version == 4 else ipaddress.IPv6Address)(at % top)
    v4 = chance.getrandbits(32)
    return chance.choice([
        lambda: ipaddress.IPv4Address(v4), lambda: ipaddress.IPv6Address(chance.getrandbits(125) | 1 << 125),
        lambda: ipaddress.IPv6Address(0x26064700 << 96 | chance.choice([0x5efe, 0x2005efe, 0x5efd]) << 32 | v4),
        lambda: ipaddress.IPv6Address(chance.choice([0xffff << 32, 0, 0x64ff9b << 96, 0x2002 << 112 | v4 << 80]) | v4)])()


class Attempts(unittest.TestCase):
    """The rule became stricter while webhooks were there; and nothing may lead back into the program."""

    def test_stricter_since(self):
        good, = receivers(GOOD)
        self.addCleanup(good.stop)
        with NameServer() as ns:
            ns["good.test"] = Answer(a=[GOOD])
            url = {"literal": "http://%s:%d/ok" % (GOOD, good.port), "name": "http://good.test:%d/ok" % good.port,
                   "single": "http://single:%d/ok" % good.port}
            ns["single"] = Answer(a=[GOOD])
            wide = {"egress.allow_networks": GOOD, "egress.allow_hosts": "single", "egress.dns_servers": ns.address}
            with harness.Server(settings=wide, loopback=False) as server:
                api = server.client()
                hooks = {k: api.webhook(u, event_types=["to." + k], retry=[172800]) for k, u in url.items()}
                for k in hooks:
                    api.publish("to." + k)
                    api.wait_deliveries("succeeded", webhook=hooks[k]["id"])
                server.stop()
                n = good.n_connections
                for tight in ({"egress.allow_networks": "10.0.0.0/8"}, {"egress.allow_networks": GOOD, "egress.ports": "443"},
                              {"egress.allow_networks": GOOD, "egress.allow_http": "no"}):
                    tight["egress.dns_servers"] = ns.address
                    with harness.Server(settings=tight, loopback=False, data=server.data) as again:
                        api = again.client(key=server.key)
                        for k, w in hooks.items():
                            self.refused_everywhere(api, k, w, " ".join(tight))
                        self.assertEqual(again.stop(), 0)
                self.assertEqual(good.n_connections, n)
                with harness.Server(settings={"egress.allow_networks": GOOD, "egress.dns_servers": ns.address}, loopback=False,
                                    data=server.data) as again:
                    # only the name is trusted no longer; its address is allowed
                    self.refused_everywhere(again.client(key=server.key), "single", hooks["single"], "hosts")
                    self.assertEqual(again.stop(), 0)
                self.assertEqual(good.n_connections, n)

    def refused_everywhere(self, api, k, w, tight):
        """Publish, test, verify and a new try; a change that leaves the URL alone is no judgement."""
        event = api.publish("to." + k)
        d = until(lambda: [d for d in api.deliveries(event=event["id"]) if d["attempt_count"]], k)[0]
        a = api.post("/v1/webhooks/%s/test" % w["id"]).json
        v = api.post("/v1/webhooks/%s/verify" % w["id"]).json
        again = api.post("/v1/deliveries/%s/retry" % d["id"], {"new": True, "wait": True}).json
        for at in (api.delivery(d["id"])["attempts"][-1], a["attempt"], v["attempt"], again["attempt"]):
            self.assertEqual((at["error"], at["address"]), (CLASS, None), (k, at))
        self.assertEqual((v["url_allowed"], v["success"], v["address"]), (False, False, None))
        self.assertEqual(api.patch("/v1/webhooks/" + w["id"], {"description": "x"}).status, 200)
        # where a name leads is not asked then: that is for attempts
        told = k == "name" and "ports" not in tight and "http" not in tight
        self.assertEqual(api.patch("/v1/webhooks/" + w["id"], {"url": w["url"]}).status, 200 if told else 422, (k, tight))

    def test_own_listeners(self):
        """With every network allowed, also by name, on every address the listener answers at."""
        with NameServer() as ns:
            settings = {"egress.allow_networks": "0.0.0.0/0,::/0", "egress.allow_hosts": "me,localhost", "egress.dns_servers": ns.address}
            server = harness.Server(settings=settings, loopback=False)
            with server.start(listen=("0.0.0.0:0", "127.0.0.1:0")):
                ports = re.findall(r"ev=serve\.listening address=[\d.]+:(\d+)", server.log())
                self.assertEqual(len(ports), 2)
                api = server.client()
                for host in ("127.0.0.1", "0.0.0.0", "127.9.9.9", "[::]", "[::1]"):
                    a = api.post("/v1/webhooks", {"url": "http://%s:%s/" % (host, ports[0])})
                    self.assertEqual((a.status, a.json["code"]), (422, "address_blocked"), (host, a))
                self.assertEqual(api.post("/v1/webhooks", {"url": "http://127.9.9.9:%s/" % ports[1]}).status, 201)
                ns["me"] = Answer(a=["127.0.0.1"])
                ns["back.test"] = Answer(a=["127.0.0.5"])
                ns["mapped.test"] = Answer(aaaa=["::ffff:127.0.0.1"])
                for i, host in enumerate(("me", "back.test", "mapped.test", "localhost")):
                    w = api.webhook("http://%s:%s/livez" % (host, ports[0]), event_types=["t%d" % i])
                    at = api.post("/v1/webhooks/%s/verify" % w["id"]).json["attempt"]
                    self.assertEqual((at["error"], at["address"]), (CLASS, None), host)
                self.assertIn("one of our own listeners", server.log())
                self.assertEqual(server.stop(), 0)


class Told(Case):
    """Tenants learn that an address is not allowed; operators learn which rule says so."""
    settings = {"egress.allow_hosts": "single"}

    def test_at_creation(self):
        tenant = self.server.client("read,manage")
        w = tenant.webhook("http://good.test:%d/ok" % self.port)
        said = set()
        for url in ("http://10.0.0.1/", "http://127.0.0.1:%d/" % self.server.port, "http://[::1]/", "http://169.254.169.254/latest",
                    "http://db/", "http://x.local/", "http://[64:ff9b::1]/", "http://%s:%d/" % (BAD, self.port)):
            for a in (tenant.post("/v1/webhooks", {"url": url}), tenant.patch("/v1/webhooks/" + w["id"], {"url": url})):
                self.assertEqual((a.status, a.json["code"]), (422, "address_blocked"))
                said.add(a.body)
            host = url.split("/")[2].split(":%d" % self.port)[0].strip("[]").split(":%d" % self.server.port)[0]
            a = self.api.post("/v1/webhooks", {"url": url})
            self.assertRegex(a.json["detail"], r"%s: .+ \(see egress" % re.escape(host), url)
            self.assertRegex(self.server.log(), r'ev=http\.blocked route=/v1/webhooks account=\d+ text="%s: ' % re.escape(host))
        self.assertEqual(len(said), 1, said)
        self.assertNotIn("latest", self.server.log())

    def test_at_attempts(self):
        """The same words for every reason, wherever a tenant looks."""
        self.ns["own.test"] = Answer(a=["127.0.0.1"])
        tenant = self.server.client("read,manage,publish")
        cases = {Answer(a=["10.1.2.3"]): "10.1.2.3: private network", Answer(a=[GOOD, BAD]): BAD + ": loopback",
                 Answer(aaaa=["fd00::1"]): "fd00::1: unique local", Answer(aaaa=["::ffff:10.0.0.9"]): ": private network",
                 Answer(a=["168.63.129.16"]): "168.63.129.16: Azure"}
        said = set()
        for answer, rule in cases.items():
            w = self.webhook(self.name(answer))
            at = self.attempt(w)
            self.blocked(at)
            d = tenant.deliveries(webhook=w["id"])[0]
            shown = [tenant.get(p).body.decode() for p in (
                "/v1/webhooks/" + w["id"], "/v1/deliveries/" + d["id"], "/v1/deliveries?webhook=" + w["id"],
                "/v1/webhooks/%s/stats" % w["id"], "/v1/undelivered")]
            shown.append(tenant.post("/v1/webhooks/%s/verify" % w["id"]).body.decode())
            shown.append(tenant.post("/v1/webhooks/%s/test" % w["id"]).body.decode())
            for text in shown:
                for word in ("RFC", "private", "loopback", "unique local", "Azure", "10.1.2.3", BAD, "fd00", "10.0.0.9", "168.63"):
                    self.assertNotIn(word, text)
            self.assertEqual(tenant.get("/v1/webhooks/" + w["id"]).json["last_failure_message"], CLASS["message"])
            self.assertEqual(json.loads(shown[3])["last_error"], CLASS)
            said.add(json.dumps([at["error"], at["address"], at["tls"], at["http_status"], {k: v is None for k, v in at["times_ms"].items()}]))
            self.assertRegex(self.server.log(), r'ev=attempt\.blocked webhook=%s detail="[^"]*%s' % (w["id"], re.escape(rule)))
        self.assertEqual(len(said), 1, said)

    def test_in_a_dialect(self):
        for dialect, root, header, listing in (("cs2cap", "/account/webhooks", "Authorization", "/account/webhooks/deliveries"),
                                               ("bitnob", "/webhooks", "X-API-Key", "/webhooks/events")):
            key = self.server.make_key("read,manage", None, "--dialect", dialect)
            c = Client(self.server, None)
            c.headers = {header: key if header == "X-API-Key" else "Bearer " + key}
            name = self.name(Answer(a=["10.1.2.3"]))
            a = c.post(root, {"url": "https://%s/ok" % name, "label": "x", "name": "x"})
            self.assertIn(a.status, (200, 201), a)
            type = {"cs2cap": "alert.triggered", "bitnob": None}[dialect]
            if not type:
                types = c.get("/webhooks/event-types").json
                type = next(t for t in re.findall(r'"([a-z_]+\.[a-z_.]+)"', json.dumps(types)))
            self.api.publish(type, {})
            until(lambda: "the address is not allowed" in c.get(listing).body.decode(), dialect)
            self.assertNotIn("10.1.2.3", c.get(listing).body.decode())

    def test_open_doors_are_announced(self):
        self.assertIn("ev=serve.egress_open allow_networks=", self.server.log())
        self.assertIn("ev=serve.egress_open allow_hosts=single", self.server.log())


if __name__ == "__main__":
    harness.main()
