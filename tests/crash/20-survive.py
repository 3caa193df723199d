#!/usr/bin/env python3
"""Every acknowledged change survives a kill -9 at a random moment: webhooks made, changed, rotated and deleted, keys made and
revoked, accounts, servers, event types, kept answers, cancelled and retried deliveries. Many short lives of the server, each
killed while several clients change things; after each the store is checked and compared with what was acknowledged."""
import json
import os
import random
import sys
import threading
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness  # noqa: E402
from harness import Receiver, Server  # noqa: E402

SEED = int(os.environ.get("HOOKLINE_SEED", time.time_ns() % 1000000))
LIVES = int(os.environ.get("HOOKLINE_CRASH_LIVES", "4" if harness.SANITIZED else "15"))
CLIENTS = 3


class Gone(Exception):
    """The server died under a request: whether the change was made is not known."""


class Model:
    """What one client was told. A value of None: not known, because the answer was lost."""

    def __init__(self, server, receiver, n, dice):
        self.api = server.client()
        self.receiver, self.n, self.dice = receiver, n, dice
        self.webhooks = {}     # id → {member: value} | "deleted"
        self.secrets = {}      # id → secret (None: a rotation whose answer was lost)
        self.keys = {}         # id → (key, "active" | "revoked" | None)
        self.events = {}       # own id → event id
        self.kept = {}         # Idempotency-Key → (path, body, answer)
        self.servers = {}      # id → name | None | "deleted"
        self.cancelled = set()
        self.count = 0

    def ask(self, method, path, body=None, **kw):
        try:
            a = self.api.request(method, path, body, **kw)
        except Exception:  # noqa: BLE001
            raise Gone from None
        if a.status >= 500:
            raise Gone
        return a

    def unique(self):
        self.count += 1
        return "c%d-%d" % (self.n, self.count)

    def step(self):
        action = self.dice.choice([self.make_webhook, self.change_webhook, self.rotate, self.delete_webhook, self.make_key, self.revoke_key,
                                   self.publish, self.publish, self.publish, self.publish_kept, self.cancel, self.make_server, self.drop_server])
        action()

    def make_webhook(self):
        name = self.unique()
        a = self.ask("POST", "/v1/webhooks", {"url": self.receiver.url + "/ok/" + name, "name": name, "event_types": ["w." + name],
                                               "enabled": False})
        assert a.status == 201, a
        self.webhooks[a.json["id"]] = {"name": name, "state": "paused", "metadata": {}}
        self.secrets[a.json["id"]] = a.json["secret"][-4:]

    def live(self):
        return [i for i, w in self.webhooks.items() if w != "deleted" and w is not None]

    def change_webhook(self):
        for id in self.live()[-1:]:
            value = {"v": self.unique()}
            was, self.webhooks[id]["metadata"] = self.webhooks[id]["metadata"], None
            a = self.ask("PATCH", "/v1/webhooks/" + id, {"metadata": value})
            assert a.status == 200, a
            self.webhooks[id]["metadata"] = value

    def rotate(self):
        for id in self.live()[:1]:
            self.secrets[id] = None
            a = self.ask("POST", "/v1/webhooks/%s/rotate-secret" % id)
            assert a.status == 200, a
            self.secrets[id] = a.json["secret"][-4:]

    def delete_webhook(self):
        if len(self.live()) > 3:
            id = self.dice.choice(self.live())
            self.webhooks[id] = None
            a = self.ask("DELETE", "/v1/webhooks/%s?drop_history=%s" % (id, self.dice.choice(["true", "false"])))
            assert a.status == 204, a
            self.webhooks[id] = "deleted"

    def make_key(self):
        a = self.ask("POST", "/v1/keys", {"scopes": ["read"], "name": self.unique()})
        assert a.status == 201, a
        self.keys[a.json["id"]] = (a.json["key"], "active")

    def revoke_key(self):
        active = [i for i, k in self.keys.items() if k[1] == "active"]
        if active:
            id = self.dice.choice(active)
            key = self.keys[id][0]
            self.keys[id] = (key, None)
            a = self.ask("DELETE", "/v1/keys/" + id)
            assert a.status == 204, a
            self.keys[id] = (key, "revoked")

    @staticmethod
    def event(own):
        return {"type": "s.%d" % (int(own.rpartition("-")[2]) % 4), "id": own, "data": {"own": own}}

    def publish(self):
        own = self.unique()
        a = self.ask("POST", "/v1/events", self.event(own))
        assert a.status == 202, a
        self.events[own] = a.json["id"]

    def publish_kept(self):
        key = self.unique()
        body = json.dumps({"type": "kept", "data": key}).encode()
        a = self.ask("POST", "/v1/events", body, headers={"Idempotency-Key": key})
        assert a.status == 202, a
        self.kept[key] = (body, a.body)

    def cancel(self):
        a = self.ask("GET", "/v1/deliveries?status=pending&limit=20")
        for d in a.json["data"][self.n:self.n + 1]:
            a = self.ask("POST", "/v1/deliveries/%s/cancel" % d["id"])
            if a.status == 200:
                self.cancelled.add(d["id"])

    def make_server(self):
        name = self.unique()
        a = self.ask("POST", "/v1/servers", {"name": name})
        assert a.status == 201, a
        self.servers[a.json["id"]] = name

    def drop_server(self):
        there = [i for i, s in self.servers.items() if s not in (None, "deleted")]
        if len(there) > 2:
            self.servers[there[0]] = None
            a = self.ask("DELETE", "/v1/servers/" + there[0])
            assert a.status == 204, a
            self.servers[there[0]] = "deleted"

    # ---- afterwards ----

    def compare(self, case, server):
        for id, want in self.webhooks.items():
            if want is None:
                continue
            a = self.ask("GET", "/v1/webhooks/" + id)
            case.assertEqual(a.status, 404 if want == "deleted" else 200, (id, want, a))
            if want != "deleted":
                for member, value in want.items():
                    if value is not None:
                        case.assertEqual(a.json[member], value, (id, a))
                if self.secrets[id]:
                    case.assertEqual(a.json["secret_last4"], self.secrets[id])
        for id, (key, state) in self.keys.items():
            if state:
                a = server.client(key=key).get("/v1/events?limit=1")
                case.assertEqual(a.status, 200 if state == "active" else 401, (id, state, a))
        for own, id in list(self.events.items())[-300:]:
            a = self.ask("GET", "/v1/events/" + id)
            case.assertEqual((a.status, a.json["external_id"], a.json["data"]), (200, own, {"own": own}))
        for own, id in list(self.events.items())[-60:]:      # its own id is known, too: sent again it is the same event
            a = self.ask("POST", "/v1/events", self.event(own))
            case.assertEqual((a.status, a.json["id"]), (202, id), own)
        for key, (body, answer) in self.kept.items():
            a = self.ask("POST", "/v1/events", body, headers={"Idempotency-Key": key})
            case.assertEqual((a.status, a.body, a.headers.get("idempotent-replayed")), (202, answer, "true"))
        for id, name in self.servers.items():
            if name is not None:
                case.assertEqual(self.ask("GET", "/v1/servers/" + id).status, 404 if name == "deleted" else 200, (id, name))
        for id in self.cancelled:
            a = self.ask("GET", "/v1/deliveries/" + id)
            # an attempt that was in flight when the order came still tells its outcome
            case.assertTrue(a.status == 404 or a.json["status"] == "cancelled" or
                            (a.json["status"] == "succeeded" and a.json["attempts"]), (id, a))


class Survive(unittest.TestCase):
    def test_survive(self):
        dice = random.Random(SEED)
        total = 0
        with Receiver() as receiver, Server() as server:
            models = [Model(server, receiver, n, random.Random(SEED + n)) for n in range(CLIENTS)]
            for behaviour in ("ok", "flaky/1", "status/503", "slow/50"):
                models[0].api.webhook("%s/%s/shared" % (receiver.url, behaviour), retry=[1],
                                      event_types=["s.0", "s.1", "s.2", "s.3"] if behaviour != "slow/50" else ["s.1"])
            for life in range(LIVES):
                stop, wrong = threading.Event(), []
                threads = [threading.Thread(target=self.live, args=(m, stop, wrong)) for m in models]
                [t.start() for t in threads]
                time.sleep(dice.uniform(0.02, 0.5))       # the random moment
                server.kill()
                stop.set()
                [t.join(60) for t in threads]
                self.assertEqual(wrong, [], "seed %d" % SEED)
                code, out, err = server.check()
                self.assertEqual((code, out.splitlines()[-1:]), (0, ["clean"]), "seed %d, life %d: %s%s" % (SEED, life, out, err))
                server.start()
                for m in models:
                    m.compare(self, server)
            total = sum(m.count for m in models)
            acked = {id for m in models for id in m.events.values()}
            try:
                harness.until(lambda: acked <= {r["headers"]["webhook-id"] for r in receiver.of("/ok/shared")}, "every event to arrive", 60)
            except AssertionError as e:
                missing = sorted(acked - {r["headers"]["webhook-id"] for r in receiver.of("/ok/shared")})
                told = [models[0].api.get("/v1/deliveries?event=" + id).json for id in missing[:3]]
                self.fail("%s, seed %d; %d missing: %s\n%s" % (e, SEED, len(missing), told, server.log()[-2000:]))
            self.assertEqual(server.stop(), 0, server.log()[-2000:])
            code, out, err = server.check()
            self.assertEqual((code, out.splitlines()[-1]), (0, "clean"), out + err)
            self.assertEqual([line for line in server.log(all_runs=True).splitlines() if "level=error" in line], [])
        print("seed %d: %d lives, %d changes, %d events acknowledged, lost 0" % (SEED, LIVES, total, len(acked)))

    def live(self, model, stop, wrong):
        try:
            while not stop.is_set():
                model.step()
        except Gone:
            pass
        except Exception:  # noqa: BLE001
            wrong.append(traceback.format_exc())


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
