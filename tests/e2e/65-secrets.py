#!/usr/bin/env python3
"""A run through everything that touches a secret, at log level debug: all formats, dialects, kinds of failure, rotations,
replays, refusals with keys in wrong places. Then everything Hookline wrote is searched for every secret, key, signature,
credential, destination path and payload that was used: logs, metrics, error answers, what the commands print, the store and
its backups, in the clear, as base64 (wherever it may begin in it), as hex, escaped for JSON and for URLs.

At the end that server is made to crash: it leaves no core file."""
import base64
import glob
import json
import math
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import unittest
import urllib.parse

import harness
import hostile
import market
from harness import Client, Receiver, run, until

DIALECTS = {"cs2cap": ("/account/webhooks", "Bearer", {"label": "hook"}, "POST {w}/rotate-secret"),
            "aboutyou": ("/api/v1/webhooks/", "X-API-Key", {}, None),
            "stellarstack": ("/webhooks", "Bearer", {"events": ["alert.triggered"]}, None),
            "bitnob": ("/webhooks", "X-API-Key", {"name": "hook"}, "POST {w}/rotate-secret")}
EVERYWHERE = ("key", "secret", "sealing key", "signature", "credential")    # in the clear nowhere at all
CLASSES = {"http_status", "dns", "connect", "tls", "timeout", "reset", "protocol", "blocked_address", "receiver_said_no", "expired", "cancelled"}
TOLD = EVERYWHERE + ("path", "payload")                                     # not in what is told to others: logs, metrics, errors


def spellings(raw):
    """How these bytes may look: as they are, in hex, escaped, inside base64 at each of its three places."""
    forms = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    if raw.isascii():
        forms |= {urllib.parse.quote(raw, safe="").encode(), raw.replace(b"/", b"\\/")}
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw)
        part = whole[(before * 8 + 5) // 6:(before + len(raw)) * 8 // 6]
        forms |= {part, part.replace(b"+", b"-").replace(b"/", b"_")}
    return forms


class Canaries:
    """What must not be found: (kind, text) → the byte strings it could be found as."""

    def __init__(self):
        self.known, self.n = {}, 0

    def make(self, kind):
        """A new one, nobody else's."""
        self.n += 1
        text = "Canary%s%02dx%s" % (kind.title().replace(" ", ""), self.n, os.urandom(6).hex())
        self.add(kind, text)
        return text

    def add(self, kind, text):
        raw = text.encode() if isinstance(text, str) else text
        words = {raw}
        if kind == "key":
            words.add(raw[12:-6])                           # the random part; prefix and last four are shown on purpose
        if raw.startswith(b"whsec_") and kind == "secret":
            words |= {raw[6:].rstrip(b"="), base64.b64decode(raw[6:] + b"==")}
        if kind == "signature":
            words |= {raw.rstrip(b"="), base64.b64decode(raw + b"==")}
        self.known[kind, text] = set().union(*map(spellings, words))

    def found_in(self, data, kinds):
        return sorted({"%s %s" % key for key, forms in self.known.items() if key[0] in kinds and any(f in data for f in forms)})


class Secrets(harness.Case, market.Market):
    settings = {"log.level": "debug", "delivery.retry": "1s", "delivery.timeout": "1s", "delivery.timeout_dialects": "1s",
                "delivery.park_after": "3", "egress.allow_hosts": "localhost, refused.localhost", "limits.body_max": "64KiB",
                "limits.tiers": "quant: webhooks, batch, max_webhooks=100; few: webhooks, rpm=1"}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hl-secrets-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.certs = harness.make_certs(cls.folder)
        cls.settings = dict(cls.settings, **{"tls.ca_file": cls.certs["ca"]})
        super().setUpClass()
        cls.tls = {}
        for name in ("good", "expired", "wrong_host", "self_signed"):
            cls.tls[name] = Receiver(tls=cls.certs[name]).start()
            cls.addClassCleanup(cls.tls[name].stop)
        cls.c, cls.errors = Canaries(), []
        cls.c.add("key", cls.server.key)
        with open(cls.server.data + "/key", "rb") as f:
            text = f.read()
        for word in re.findall(rb"[0-9A-Za-z+/=_-]{32,}", text) or [text]:
            cls.c.add("sealing key", word)
            for decode in (bytes.fromhex, lambda w: base64.b64decode(w + "==")):
                try:
                    if len(decode(word.decode())) == 32:
                        cls.c.add("sealing key", decode(word.decode()))
                except ValueError:
                    pass

    # ---- doing ----

    def told(self, answer, *own):
        """An error answer is kept to be searched; own: what the client itself had put there may come back to it."""
        if answer.status >= 400:
            self.errors.append((answer.status, json.dumps(answer.headers).encode() + answer.body, own))
        return answer

    def target(self, behaviour, receiver=None, host=None):
        path, query = self.c.make("path"), self.c.make("path")
        url = "%s/%s/%s?token=%s" % ((receiver or self.receiver).url, behaviour, path, query)
        return url.replace("127.0.0.1", host) if host else url

    def hook(self, url, **members):
        w = self.api.post("/v1/webhooks", dict({"url": url, "event_types": ["secret.run"]}, **members))
        self.assertEqual(w.status, 201, w)
        self.c.add("secret", w.json["secret"])
        return w.json

    def formats_and_headers(self):
        own = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        self.c.add("secret", own)
        self.hook(self.target("ok"), secret=own, headers={"Authorization": "Bearer " + self.c.make("credential"),
                                                          "X-Api-Token": self.c.make("credential"), "Cookie": self.c.make("credential")})
        self.hook(self.target("ok/api/webhooks/1234567890"), format="discord")
        self.hook(self.target("telegram-ok/bot123456:" + self.c.make("path") + "/sendMessage") + "&chat_id=-100123", format="telegram")
        self.hook(self.target("telegram-no/bot123456:" + self.c.make("path") + "/sendMessage") + "&chat_id=-100123", format="telegram")
        self.hook(self.target("apps-script/macros/s/" + self.c.make("path") + "/exec"), format="google_sheets")

    def failures(self):
        for behaviour in ("status/500", "status/404", "status/401", "status/400", "gone", "hang", "hang-head", "hang-body", "close", "reset",
                          "garbage", "endless-head", "endless-body", "redirect", "retry-after/1", "discord-limit/1", "telegram-limit/1", "flaky/1"):
            self.hook(self.target(behaviour))
        self.hook(self.target("ok").replace(":%d/" % self.receiver.port, ":1999/"))                   # refused
        self.hook(self.target("ok", host="localhost").replace("http:", "https:"))                     # TLS to where none is
        for r in self.tls.values():
            self.hook(self.target("ok", r, "localhost"))
        self.hook(self.target("ok").replace("127.0.0.1:%d" % self.receiver.port, "unknown.invalid"))  # no such name
        for url in (self.target("ok").replace("127.0.0.1", "10.0.0.1"), self.target("ok").replace("http://", "http://u:%s@" % self.c.make("credential")),
                    self.target("ok") + "#x", self.target("ok").replace("http:", "ftp:"), self.target("ok").replace("127.0.0.1", "2130706433"),
                    self.target("ok") + "\\", self.target("ok") + " x", self.target("ok") + "x" * 3000):
            self.assertEqual(self.told(self.api.post("/v1/webhooks", {"url": url})).status, 422)

    def payloads(self):
        for i in range(3):
            self.api.publish("secret.run", {"card": self.c.make("payload"), self.c.make("payload"): i})
        line = json.dumps({"type": "secret.run", "data": self.c.make("payload")}).encode() + b"\n"
        bad = b'{"type":"secret.run","data":"%s\n' % self.c.make("payload").encode()
        a = self.api.post("/v1/events/batch", line + bad + line, content_type="application/x-ndjson")
        self.assertEqual(a.body.count(b'"status":202'), 2)
        self.errors.append((207, a.body, ()))
        self.told(self.api.post("/v1/events", {"type": "bad type", "data": self.c.make("payload")}))
        self.told(self.api.post("/v1/events", {"type": "x", "data": self.c.make("payload") * 4000}))
        self.told(self.api.post("/v1/events", b'{"type":"x","data":"' + self.c.make("payload").encode()))

    def rotations_and_actions(self):
        w = self.hook(self.target("ok"))
        body = {"overlap": 600}
        for i in range(3):
            a = self.api.post("/v1/webhooks/%s/rotate-secret" % w["id"], body, headers={"Idempotency-Key": "rotate-%d" % (i // 2)})
            self.assertEqual(a.status, 200, a)
            self.c.add("secret", a.json["secret"])
        self.told(self.api.post("/v1/webhooks/%s/rotate-secret" % w["id"], {"secret": "whsec_" + self.c.make("secret")}))
        url = self.target("ok")
        replays = {self.api.post("/v1/webhooks", {"url": url, "event_types": ["none"]}, headers={"Idempotency-Key": "create"}).body for _ in range(3)}
        self.assertEqual(len(replays), 1)
        self.c.add("secret", json.loads(replays.pop())["secret"])
        self.told(self.api.post("/v1/webhooks", {"url": self.target("ok")}, headers={"Idempotency-Key": "create"}))
        for action in ("test", "verify", "recover"):
            self.told(self.api.post("/v1/webhooks/%s/%s" % (w["id"], action), {}))
        for d in self.api.deliveries(webhook=w["id"])[:1]:
            self.told(self.api.post("/v1/deliveries/%s/retry" % d["id"], {"new": True, "wait": True}))
            self.told(self.api.post("/v1/deliveries/%s/cancel" % d["id"], {}))
        never = self.hook(self.target("status/503"), event_types=["secret.never"])
        self.api.publish("secret.never", self.c.make("payload"))
        self.told(self.api.post("/v1/deliveries/%s/cancel" % self.api.deliveries(webhook=never["id"])[0]["id"], {}))
        for event in self.api.get("/v1/events?limit=2").json["data"]:
            self.told(self.api.post("/v1/events/%s/replay" % event["id"], {}))
        self.told(self.api.patch("/v1/webhooks/" + w["id"], {"url": self.target("ok"), "headers": {"X-New": self.c.make("credential")}}))
        self.told(self.api.patch("/v1/webhooks/" + w["id"], {"headers": {"X-Bad": self.c.make("credential") + "\n"}}))
        self.told(self.api.patch("/v1/webhooks/" + w["id"], {"headers": {"Host": self.c.make("credential")}}))
        self.told(self.api.delete("/v1/webhooks/" + w["id"]))

    def dialects(self):
        a = self.api.put("/v1/event-types", [{"name": "alert.triggered", "dialects": {"cs2cap": "alert", "aboutyou": "order", "stellarstack": "server",
                                                                                     "bitnob": "wallet"}}])
        self.assertEqual(a.status, 200, a)
        good = self.tls["good"]
        for name, (root, header, new, rotate) in DIALECTS.items():
            key = self.server.make_key("read,manage", None, "--dialect", name)
            self.c.add("key", key)
            c = Client(self.server, None)
            c.headers = {"X-API-Key": key} if header == "X-API-Key" else {"Authorization": "Bearer " + key}
            for behaviour in ("ok", "status/500"):
                a = c.post(root, dict(new, url=self.target(behaviour, good, "localhost")))
                self.assertIn(a.status, (200, 201), a)
                w = a.json.get("webhook", a.json)
                self.keep_secrets(a.json)
                if rotate:
                    method, path = rotate.split()
                    a = c.request(method, path.replace("{w}", "%s/%s" % (root.rstrip("/"), w["id"])), {})
                    self.assertEqual(a.status, 200, a)
                    self.keep_secrets(a.json)
            self.told(c.post(root, dict(new, url=self.target("ok").replace("127.0.0.1", "10.1.2.3"))))
            self.told(c.post(root, b'{"url":"' + self.target("ok").encode()))
            self.told(c.get(root.rstrip("/") + "/" + self.c.make("path")))
            for other in ("/v1/webhooks", "/account/webhooks", "/api/v1/webhooks/", "/webhooks"):
                self.told(Client(self.server, None).get(other, headers={"Authorization": "Bearer " + key}))
                self.told(Client(self.server, None).get(other, headers={"X-API-Key": key}))
        self.api.publish("alert.triggered", {"order": self.c.make("payload")})

    def keep_secrets(self, value):
        if isinstance(value, dict):
            for k, v in value.items():
                if isinstance(v, str) and v.startswith("whsec_"):
                    self.c.add("secret", v)
                self.keep_secrets(v)

    def alerts(self):
        self.put_items(7)
        self.hook(self.target("ok"), event_types=["alert.triggered"])
        self.expect(self.api.post("/v1/alerts", {"item_id": 7, "kind": "price_below", "threshold": "10.00"}), 201)
        self.asks({"item_id": 7, "provider": "buff163", "lowest_ask": 500})

    def keys_in_wrong_places(self):
        made = self.api.post("/v1/keys", {"scopes": ["read"], "name": "short-lived"}).json
        self.c.add("key", made["key"])
        key = self.server.make_key("read,publish")
        self.c.add("key", key)
        nobody = Client(self.server, None)
        bearer = {"Authorization": "Bearer " + key}
        for path in ("/v1/webhooks/" + key, "/v1/webhooks?key=" + key, "/v1/webhooks?cursor=" + key, "/" + key, "/v1/keys/" + key,
                     "/v1/events?type=" + key):
            self.told(nobody.get(path))
            self.told(self.api.get(path))
        for headers in ({"Authorization": key}, {"Authorization": "Basic " + base64.b64encode(("x:" + key).encode()).decode()},
                        {"Authorization": "Bearer " + key, "X-API-Key": key}, {"Authorization": "Bearer %s x" % key}, {"X-API-Key": key + "x"},
                        {"X-API-Key": key[:-1] + "0"}, {"Cookie": key}, {"X-Key": key}, {"Hookline-Account": key, "X-API-Key": self.server.key},
                        {"Idempotency-Key": key * 10, "X-API-Key": self.server.key}):
            self.told(nobody.get("/v1/webhooks", headers=headers))
            self.told(nobody.post("/v1/webhooks", {"url": self.target("ok")}, headers=headers))
        for body in ({"type": key, "data": 1, "id": key + " "}, {"type": "x", "data": 1, "expires_at": key}, {"type": "x", "data": 1, "server": key}, key):
            self.told(self.api.post("/v1/events", body))
        self.told(nobody.post("/v1/keys", {"scopes": ["admin"]}, headers=bearer))
        self.told(nobody.post("/v1/events", {"type": "x", "data": 1}, headers=dict(bearer, **{"Hookline-Account": "other"})))
        self.told(self.api.delete("/v1/keys/" + made["id"]))
        self.told(nobody.get("/v1/webhooks", headers={"X-API-Key": made["key"]}))       # revoked
        self.told(self.api.post("/v1/accounts", {"id": "few", "tier": "few"}))
        few = self.server.make_key("read", "few")
        self.c.add("key", few)
        for _ in range(3):
            self.told(nobody.get("/v1/webhooks", headers={"X-API-Key": few}))           # 429
        for data in (b"GET /%b HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: %b\r\nHost: x\r\n\r\n", b"%b / HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET / %b\r\nHost: x\r\n\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\n\r\n\r\n", b"Authorization: Bearer %b\r\n\r\n",
                     b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: %b\r\nTransfer-Encoding: x\r\n\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\nExpect: %b\r\n\r\n"):
            got = hostile.exchange(hostile.connect(("127.0.0.1", self.server.port)), [data.replace(b"%b", key.encode())], half=True)
            self.errors.append((400, got, ()))
        for args in (("publish", "secret.run", "{}"), ("key", "revoke", "--data", self.server.data, key[:-3])):
            env = harness.clean_env(HOOKLINE_URL="http://127.0.0.1:%d" % self.server.port, HOOKLINE_KEY=made["key"])
            code, out, err = run(*args, env=env)
            self.assertNotEqual(code, 0)
            self.errors.append((code, (out + err).encode(), (key,) if "revoke" in args else ()))

    def signatures(self):
        for r in [self.receiver] + list(self.tls.values()):
            for record in list(r.records):
                for name, value in record["headers"].items():
                    if "signature" in name:
                        for part in re.split(r"[ ,]", value):
                            text = part.partition("=")[2] or part
                            if len(text) > 20:
                                self.c.add("signature", text)

    # ---- searching ----

    def nowhere(self, what, data, kinds, own=()):
        found = [f for f in self.c.found_in(data, kinds) if not any(o in f for o in own)]
        self.assertEqual(found, [], "in " + what)

    def classes(self):
        """Of the failures there were up to now."""
        self.seen |= {d["last_error"]["class"] for d in self.api.deliveries() if d["last_error"]}
        return self.seen

    def again(self):
        """Another start, from which on none of the receivers may be reached. Whatever a crash may leave, it may."""
        def unlimited():
            os.chdir(self.server.data)
            resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        self.server.preexec_fn = unlimited
        self.server.args = [a.replace("=127.0.0.0/8", "=127.255.0.0/16").replace("localhost, ", "") for a in self.server.args]
        late = self.hook(self.target("status/500"), event_types=["secret.late"], retry=[2])
        over = math.ceil(time.time() + 1.2)
        self.api.publish("secret.late", self.c.make("payload"), expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(over)))
        until(lambda: self.api.deliveries(webhook=late["id"])[0]["attempt_count"] == 1)
        self.assertEqual(self.server.stop(), 0)
        until(lambda: time.time() > over)
        self.server.start()

    def crash(self):
        if not harness.SANITIZED:                           # which would end in its own way
            self.server.process.send_signal(signal.SIGSEGV)
            self.assertEqual(self.server.process.wait(60), -signal.SIGSEGV)
            self.assertEqual([name for _, _, names in os.walk(self.server.data) for name in names if "core" in name], [])
            self.server.start()

    def search_store(self, folder, what):
        files = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
        files = [f for f in files if os.path.isfile(f) and f != folder + "/key"]
        self.assertIn("data.mdb", [os.path.basename(f) for f in files])
        for file in files:
            with open(file, "rb") as f:
                self.nowhere("%s: %s" % (what, os.path.basename(file)), f.read(), EVERYWHERE + ("path",))

    def test_nothing_tells(self):
        self.formats_and_headers()
        self.failures()
        self.dialects()
        self.alerts()
        self.payloads()
        self.rotations_and_actions()
        self.keys_in_wrong_places()
        until(lambda: len({r["behaviour"] for r in self.receiver.records}) >= 20, "all kinds of receivers to be tried")
        self.seen = set()
        until(lambda: self.classes() >= CLASSES - {"blocked_address", "expired"}, "all kinds of failures")
        metrics = [self.api.get("/metrics").body]
        self.again()
        until(lambda: self.classes() >= CLASSES, "attempts at what is not allowed any more, and an end before one")
        self.signatures()
        counts = {k: sum(key[0] == k for key in self.c.known) for k in TOLD}
        self.assertGreater(min(counts[k] for k in TOLD if k != "sealing key"), 5, counts)

        metrics.append(self.api.get("/metrics").body)
        outputs = {"metrics": b"".join(metrics), "the log": self.server.log(all_runs=True).encode()}
        for name, args in (("check", ("check", self.server.data)), ("key list", ("key", "list", "--data", self.server.data)),
                           ("backup", ("backup", self.server.data, self.folder + "/copy")),
                           ("backup --with-key", ("backup", self.server.data, self.folder + "/copy-key", "--with-key", "--compact")),
                           ("print-config", ("serve", "--print-config", "--data", self.server.data))):
            code, out, err = run(*args)
            self.assertEqual(code, 0, (name, err))
            outputs[name] = (out + err).encode()
        for name, data in outputs.items():
            self.nowhere(name, data, TOLD)
        self.assertGreater(len(self.errors), 100)
        for status, text, own in self.errors:
            self.nowhere("an answer %d: %s" % (status, text[:600]), text, TOLD, own)
        for d in self.api.deliveries():
            view = self.api.delivery(d["id"])
            self.nowhere("the errors of a delivery", json.dumps([a["error"] for a in view["attempts"]] + [d["last_error"]]).encode(), TOLD)
        self.search_store(self.server.data, "the store, running")
        self.search_store(self.folder + "/copy", "a backup")
        self.search_store(self.folder + "/copy-key", "a backup with key")
        self.assertFalse(os.path.exists(self.folder + "/copy/key"))
        self.assertTrue(os.path.exists(self.folder + "/copy-key/key"))
        print("%d words in %d spellings, %d answers of 400 and more; %s" % (
            len(self.c.known), sum(map(len, self.c.known.values())), len(self.errors), counts), file=sys.stderr)
        self.crash()
        self.search_store(self.server.data, "the store, after a crash")
        # the search itself finds what is there
        self.assertTrue(self.c.found_in(self.api.get("/v1/webhooks?limit=250").body, ("path",)))
        with open(self.folder + "/copy-key/key", "rb") as f:
            self.assertTrue(self.c.found_in(f.read(), ("sealing key",)))


def cores_possible():
    """Does the kernel here leave cores as files beside the process?"""
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as f:
        pattern = f.read().strip()
    return resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 and pattern[:1] not in "|/"


@unittest.skipUnless(cores_possible(), "the kernel leaves no core files beside the process here")
@unittest.skipIf(harness.SANITIZED, "a sanitizer catches the signals itself")
class Cores(unittest.TestCase):
    """Memory holds the sealing key, secrets while they sign, payloads while they wait. So by default a crash leaves no core, however
    the limit is set, and nobody may look into the process; server.core_dumps = yes leaves one, with all of that in it."""

    def crash(self, number, **settings):
        folder = tempfile.mkdtemp(prefix="hl-core-")           # the sandbox lets it write nowhere else
        self.addCleanup(shutil.rmtree, folder)

        def here():
            os.chdir(folder)
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        with Receiver() as receiver, harness.Server(data=folder, settings=settings, preexec_fn=here) as server:
            api = server.client()
            w = api.webhook(receiver.url + "/ok/x", event_types=["core"])
            api.publish("core", "payload")
            api.wait_deliveries("succeeded", webhook=w["id"])
            with open("/proc/%d/limits" % server.process.pid, encoding="ascii") as f:
                limit = re.search(r"Max core file size +(\S+) +(\S+)", f.read())
            os.kill(server.process.pid, number)
            self.assertEqual(server.process.wait(60), -number)
            cores = glob.glob(folder + "/*core*")
            found = []
            for core in cores:
                with open(core, "rb") as f:
                    text = f.read()
                found = [x for x in (w["secret"].encode(), base64.b64decode(w["secret"][6:])) if x in text]
            return limit.groups(), cores, found, server.log()

    def test_none_by_default(self):
        for number in (signal.SIGSEGV, signal.SIGABRT):
            limit, cores, found, log = self.crash(number)
            self.assertEqual((limit, cores), (("0", "0"), []))

    def test_one_when_asked_for(self):
        limit, cores, found, log = self.crash(signal.SIGABRT, **{"server.core_dumps": "yes"})
        self.assertEqual((limit, len(cores)), (("unlimited", "unlimited"), 1))
        self.assertTrue(found, "a core without the secret: then the default could be another")
        self.assertIn("level=warn ev=serve.core_dumps", log)


if __name__ == "__main__":
    harness.main()
