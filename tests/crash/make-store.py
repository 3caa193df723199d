#!/usr/bin/env python3
"""Makes tests/crash/stores/format-N.tar.gz: a store with every kind of row, by the program of the version whose format is
wanted. Run it in a checkout of that version, on which it rests alone (its program, its tests/lib):

    make-store.py PROGRAM OUT.tar.gz

The archive holds data.mdb, the sealing key, and store.json: what is in it, for 45-upgrade.py. Everything waits: no webhook that
has pending deliveries is enabled, so the receiver's port means nothing."""
import json
import os
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from program import Server  # noqa: E402
from receiver import Receiver  # noqa: E402


def until(test):
    end = time.monotonic() + 60
    while not test():
        assert time.monotonic() < end
        time.sleep(0.02)


class Maker:
    def __init__(self, program, receiver):
        self.said = {"keys": [], "events": {}, "kept": [], "webhooks": {}, "deliveries": {}, "servers": [], "types": []}
        self.receiver = receiver
        self.server = Server(program)
        self.program = program

    def api(self, method, path, body=None, **kw):
        status, answer = self.server.api(method, path, body, **kw)
        assert 200 <= status < 300, (method, path, status, answer)
        return answer

    def webhook(self, name, behaviour, **members):
        a = self.api("POST", "/v1/webhooks", dict({"url": "%s/%s/%s" % (self.receiver.url, behaviour, name), "name": name}, **members))
        self.said["webhooks"][name] = {"id": a["id"], "secret": a["secret"]}
        return a["id"]

    def publish(self, type, data, **members):
        a = self.api("POST", "/v1/events", dict({"type": type, "data": data}, **members))
        self.said["events"][a["id"]] = {"type": type, "data": data, "external_id": members.get("id")}
        return a["id"]

    def pause(self, name, enabled=False):
        self.api("PATCH", "/v1/webhooks/" + self.said["webhooks"][name]["id"], {"enabled": enabled})

    def done(self, name, status, n):
        path = "/v1/deliveries?limit=250&webhook=%s&status=%s" % (self.said["webhooks"][name]["id"], status)
        until(lambda: len(self.api("GET", path)["data"]) >= n)

    def records(self):
        self.api("POST", "/v1/accounts", {"id": "shop", "name": "A shop", "email": "shop@example.com"})
        for scope in (["publish"], ["read"], ["manage", "read"]):
            a = self.api("POST", "/v1/keys", {"scopes": scope, "name": "-".join(scope)})
            self.said["keys"].append({"id": a["id"], "key": a["key"], "scopes": scope, "works": True})
        a = self.api("POST", "/v1/keys", {"scopes": ["read"], "name": "revoked"})
        self.api("DELETE", "/v1/keys/" + a["id"])
        self.said["keys"].append({"id": a["id"], "key": a["key"], "scopes": ["read"], "works": False})
        a = self.api("POST", "/v1/servers", {"name": "eu-1"})
        self.said["servers"].append({"id": a["id"], "name": "eu-1"})
        self.api("PUT", "/v1/event-types/old.one", {"title": "An old one", "category": "tests"})
        self.said["types"].append("old.one")

    def deliveries(self):
        """Those that ended, those that wait for a retry, fresh ones, cancelled ones, replays."""
        self.webhook("good", "ok", event_types=["made.a", "made.b"])
        self.webhook("flaky", "flaky/2", event_types=["made.a"], retry=[1])
        self.webhook("refuses", "status/400", event_types=["made.a"])
        self.webhook("down", "status/503", event_types=["made.b"], retry=[3600, 3600])
        self.webhook("chat", "ok", event_types=["made.b"], format="discord")
        self.webhook("later", "ok", event_types=["made.c"])
        self.webhook("cancelled", "hang", event_types=["made.d"])
        self.webhook("gone", "ok", event_types=["made.a"])
        for n in range(12):
            self.publish("made.a", {"n": n, "big": 12345678901234567890123, "text": "\u00e9 \\ \""}, id="a-%d" % n)
        for n in range(6):
            self.publish("made.b", {"n": n}, server=self.said["servers"][0]["id"] if n % 2 else None)
        for name, status, n in (("good", "succeeded", 18), ("flaky", "succeeded", 12), ("refuses", "failed", 12), ("chat", "succeeded", 6),
                                ("gone", "succeeded", 12)):
            self.done(name, status, n)
        path = "/v1/deliveries?webhook=" + self.said["webhooks"]["down"]["id"]
        until(lambda: sum(bool(d["attempts"] if "attempts" in d else d.get("attempt_count")) for d in self.api("GET", path)["data"]) >= 5)
        time.sleep(0.5)
        for n in range(4):
            self.publish("made.c", {"n": n}, deliver_after=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1800)))
        self.publish("made.d", {"n": 0})
        d = self.api("GET", "/v1/deliveries?webhook=" + self.said["webhooks"]["cancelled"]["id"])["data"][0]
        self.pause("cancelled")
        self.api("POST", "/v1/deliveries/%s/cancel" % d["id"])
        self.api("POST", "/v1/events/%s/replay" % next(iter(self.said["events"])), {"webhook": self.said["webhooks"]["good"]["id"]})
        self.done("good", "succeeded", 19)

    def settings(self):
        """Kept answers, a rotated secret whose overlap lasts, revisions, a deleted webhook, paused ones."""
        body = json.dumps({"type": "kept", "data": 1})
        status, answer = self.server.api("POST", "/v1/events", body, headers={"Idempotency-Key": "kept-1", "Content-Type": "application/json"})
        assert status == 202
        self.said["kept"].append({"key": "kept-1", "body": body, "answer": answer})
        id = self.said["webhooks"]["good"]["id"]
        self.said["webhooks"]["good"]["old_secret"] = self.said["webhooks"]["good"]["secret"]
        self.said["webhooks"]["good"]["secret"] = self.api("POST", "/v1/webhooks/%s/rotate-secret" % id, {"overlap": 604800})["secret"]
        for n in range(5):
            self.api("PATCH", "/v1/webhooks/" + id, {"description": "change %d" % n, "metadata": {"n": n}, "headers": {"x-a": str(n)}})
        self.api("DELETE", "/v1/webhooks/%s" % self.said["webhooks"].pop("gone")["id"])
        self.pause("down")
        self.pause("later")

    def make(self, out):
        with self.server as s:
            self.records()
            self.deliveries()
            self.settings()
            time.sleep(1)       # the index gets some of it
            self.said["totals"] = self.api("GET", "/v1/accounts/default")["totals"]
            for name, w in self.said["webhooks"].items():
                w["stats"] = self.api("GET", "/v1/webhooks/%s/stats" % w["id"])["deliveries"]
            self.said["admin"] = s.key
            self.said["made_at"] = int(time.time())
            assert s.stop() == 0
            folder = tempfile.mkdtemp()
            with open(os.path.join(folder, "store.json"), "w", encoding="utf-8") as f:
                json.dump(self.said, f, indent=1)
            with tarfile.open(out, "w:gz") as tar:
                for path, name in ((s.data, "data.mdb"), (s.data, "key"), (folder, "store.json")):
                    tar.add(os.path.join(path, name), name, filter=lambda i: i.replace(uid=0, gid=0, uname="root", gname="root", deep=False))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with Receiver() as r:
        Maker(sys.argv[1], r).make(sys.argv[2])
