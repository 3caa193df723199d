"""The crowd (tests/crash/crowd) from Python, and the webhooks it plays."""
import base64
import json
import os
import queue
import re
import socket
import subprocess
import threading

import harness

ALL = 15                         # crash.0 … crash.3, as bits
DOOMED, DEAD = 16, 32
TYPES = ["crash.0", "crash.1", "crash.2", "crash.3", "doomed.x", "dead.x"]


class Hook:
    """index, in the crowd; port, one of the crowd's or "dead"; flags as the crowd knows them, and: r rotated, p paused, d deleted and
    made anew, f recovered (it refuses for good now and then), a of the account with the alerts."""

    def __init__(self, index, port, format, mood, classes, flags, dialect="hookline", **members):
        self.index, self.port, self.format, self.mood, self.classes = index, port, format, mood, classes
        self.flags, self.dialect, self.members = flags, dialect, members
        self.id = None

    def has(self, flag):
        return flag in self.flags

    def types(self):
        return [t for i, t in enumerate(TYPES) if self.classes >> i & 1]


def hooks():
    """Steady ones (s) get every event of their types; what counted ones (c) get must add up to the number each publisher was told;
    strict ones (t) cannot time out, so that nothing may come twice without a crash."""
    rows = [("plain", "standard", "ok", ALL, "cst")] * 4
    rows += [
        ("tls", "standard", "ok", ALL, "cst"), ("narrow", "standard", "ok", ALL, "cst"), ("plain", "standard", "slow", ALL, "cst"),
        ("plain", "standard", "flaky", ALL, "cst"), ("plain", "standard", "resets", ALL, "cst"), ("rude", "standard", "rude", ALL, "cst"),
        ("plain", "standard", "limited", ALL, "cst"), ("plain", "standard", "garbage", ALL, "cst"), ("plain", "standard", "hangs", ALL, "cs"),
        ("plain", "google_sheets", "ok", ALL, "cst"), ("plain", "discord", "flaky", ALL, "cst"), ("plain", "discord", "limited", ALL, "cst"),
        ("plain", "telegram", "ok", ALL, "cst"), ("refusing", "standard", "ok", ALL, "cst"),
        ("plain", "standard", "ok", ALL, "cstr"), ("plain", "standard", "flaky", ALL, "cstr"),
        ("plain", "standard", "ok", ALL, "ctp"), ("plain", "standard", "flaky", ALL, "ctpr"),
        ("plain", "standard", "final", ALL, "cstf"), ("plain", "standard", "gone", ALL, "ctf"),
        ("plain", "standard", "ok", ALL, "cst", "cs2cap"), ("plain", "standard", "ok", ALL, "cst", "aboutyou"),
        ("plain", "discord", "ok", ALL, "cst", "stellarstack"), ("tls", "standard", "ok", ALL, "cst", "bitnob"),
        ("plain", "standard", "flaky", 2, "cst"), ("plain", "standard", "ok", 5, "cst"),
        ("plain", "standard", "slow", DOOMED, "td"), ("dead", "standard", "ok", DOOMED, "td"), ("dead", "standard", "ok", DEAD, "-"),
        ("plain", "standard", "flaky", 0, "ta"), ("plain", "standard", "flaky", 0, "tR"),
    ]
    found = [Hook(i, *row) for i, row in enumerate(rows)]
    for h in found:
        if h.mood == "hangs":
            h.members["timeout"] = 1
        elif h.mood == "slow":
            h.members["max_in_flight"] = 40
    return found


class Crowd:
    """binary: the program; folder: where certificates may be made."""

    def __init__(self, binary, folder, seed, events_max, connections):
        self.certs = harness.make_certs(folder)
        self.process = subprocess.Popen([binary, str(seed), str(events_max), str(connections), *self.certs["good"]],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()
        self.ports = json.loads(self.process.stdout.readline())
        self.dead = socket.socket()             # bound, and nobody listens
        self.dead.bind(("127.0.0.1", 0))
        self.ports["dead"] = self.dead.getsockname()[1]

    def say(self, *words):
        with self.lock:
            self.process.stdin.write((" ".join(str(w) for w in words) + "\n").encode())
            self.process.stdin.flush()

    def ask(self, *words):
        with self.lock:
            self.process.stdin.write((" ".join(str(w) for w in words) + "\n").encode())
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the crowd ended with %s" % self.process.wait(10))
        return json.loads(line)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        self.dead.close()

    def url(self, hook):
        host = "https://localhost" if hook.port == "tls" else "http://127.0.0.1"
        return "%s:%d/%d%s" % (host, self.ports[hook.port], hook.index, "?chat_id=1" if hook.format == "telegram" else "")

    def play(self, hook, secret, number="-"):
        """From now on it is expected. A replayed event may be of any type, so R takes all."""
        classes = 63 if hook.has("R") else hook.classes
        flags = "".join(f for f in hook.flags if f in "cst") or "-"
        self.say("hook", hook.index, hook.format, hook.dialect, hook.mood, classes, flags, number)
        if secret:
            self.say("secret", hook.index, secret)


ROOTS = {"cs2cap": ("/account/webhooks", "Authorization", {"label": "crash"}), "aboutyou": ("/api/v1/webhooks/", "X-API-Key", {}),
         "stellarstack": ("/webhooks", "Authorization", {"events": TYPES[:4]}), "bitnob": ("/webhooks", "X-API-Key", {"name": "crash"})}


def register(server, crowd, api, hook):
    """Makes the webhook, through its dialect's API, and tells the crowd."""
    if hook.dialect != "hookline":
        root, header, members = ROOTS[hook.dialect]
        key = server.make_key("read,manage", None, "--dialect", hook.dialect)
        client = harness.Client(server, None)
        client.headers = {header: key if header == "X-API-Key" else "Bearer " + key}
        crowd.play(hook, None)
        a = client.post(root, dict(members, url=crowd.url(hook)))
        if a.status not in (200, 201):
            raise AssertionError("%s: %r" % (hook.dialect, a))
        made = a.json.get("webhook") or a.json.get("data") or a.json
        row = next(w for w in api.get("/v1/webhooks?limit=250").json["data"] if w["dialect"] == hook.dialect)
        hook.id = row["id"]
        changed = api.patch("/v1/webhooks/" + hook.id, {"event_types": hook.types()})     # cs2cap's own API knows one type only
        if changed.status != 200:
            raise AssertionError("%s: %r" % (hook.dialect, changed))
        secret = [v for v in {**a.json, **made}.values() if str(v).startswith("whsec_")]      # each names it in its own way
        crowd.play(hook, secret[0] if secret else None, row["number"])
        return
    secret = "whsec_" + base64.b64encode(os.urandom(32)).decode() if hook.format in ("standard", "google_sheets") else None
    crowd.play(hook, secret)
    headers = {"Hookline-Account": "market"} if hook.has("a") else {}
    types = ["alert.triggered"] if hook.has("a") else ["replay.only"] if hook.has("R") else hook.types()
    a = api.post("/v1/webhooks", dict({"url": crowd.url(hook), "format": hook.format, "secret": secret, "retry": [1],
                                        "event_types": types}, **hook.members), headers=headers)
    if a.status != 201:
        raise AssertionError("webhook %d: %r" % (hook.index, a))
    hook.id = a.json["id"]
