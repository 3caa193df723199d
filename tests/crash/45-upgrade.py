#!/usr/bin/env python3
"""Stores of older formats, kept in stores/ as the programs of their time made them (make-store.py): `check` and `backup`, which
only read, say what to do; `migrate` or a start of the server bring them here; everything in them is readable, kept answers are
given again, and what waited is delivered, signed with the secrets of old. A newer format is refused.

A crash while a store is brought here leaves it as it was or as it should be (40-power.py's states, `migrate` recorded).

Formats 1 and 2 held the URLs of webhooks in the clear. They are sealed on the way; pages that were freed keep the old bytes
until they are used again, and a compact copy has none of them."""
import glob
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import unittest

import shim
from shim import harness
from harness import Receiver, run, until

HERE = os.path.dirname(os.path.abspath(__file__))
FORMAT = 3                # HL_FORMAT_VERSION
SEALED = 3                # HL_ADDRESS_FORMAT
EXIT_STORE = 4
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


def archives():
    return sorted((int(re.search(r"format-(\d+)", p).group(1)), p) for p in glob.glob(os.path.join(HERE, "stores", "format-*.tar.gz")))


def urls(data):
    """The webhooks' URLs that lie in a store in the clear."""
    with open(os.path.join(data, "data.mdb"), "rb") as f:
        return set(re.findall(rb"http://127[.]0[.]0[.]1:\d+/[a-z]+/[a-z0-9/]+", f.read()))


class Upgrade(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="hl-upgrade-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def store(self, path):
        """The archive's store in a directory of its own, and what is in it."""
        data = tempfile.mkdtemp(dir=self.folder)
        with tarfile.open(path) as tar:
            tar.extractall(data)
        with open(os.path.join(data, "store.json"), encoding="utf-8") as f:
            said = json.load(f)
        os.unlink(os.path.join(data, "store.json"))
        return data, said

    def clean(self, data):
        code, out, err = run("check", data)
        self.assertEqual((code, out.splitlines()[-1:]), (0, ["clean"]), out + err)
        return out

    def test_every_older_format_has_its_store(self):
        self.assertEqual([n for n, _ in archives()], list(range(1, FORMAT)))
        with open(os.path.join(os.path.dirname(os.path.dirname(HERE)), "src", "store", "layout.h"), encoding="utf-8") as f:
            self.assertIn("HL_FORMAT_VERSION = %d" % FORMAT, f.read(), "a new format: keep a store of the one before in stores/")

    def test_commands(self):
        for number, path in archives():
            data, said = self.store(path)
            copy = os.path.join(self.folder, "copy-%d" % number)
            before = open(os.path.join(data, "data.mdb"), "rb").read()
            for command in (["check", data], ["backup", data, copy]):
                code, out, err = run(*command)
                self.assertEqual(code, EXIT_STORE, (command, out, err))
                self.assertIn("format %d" % number, err)
                self.assertIn("migrate", err)
            self.assertEqual(open(os.path.join(data, "data.mdb"), "rb").read(), before, "reading changes nothing")
            self.assertFalse(os.path.exists(copy))
            code, out, err = run("migrate", data)
            self.assertEqual((code, out), (0, "the store was brought from format %d to format %d\n" % (number, FORMAT)), err)
            self.assertIn("events %d," % said["totals"]["events"], self.clean(data))
            code, out, err = run("migrate", data)
            self.assertEqual((code, out), (0, "the store has the format of this version; nothing to do\n"), err)
            code, out, err = run("backup", data, copy)
            self.assertEqual(code, 0, err)
            # the sealing key may change on the way as well
            data, said = self.store(path)
            code, out, err = run("migrate", data, "--rekey", os.path.join(data, "key.new"))
            self.assertEqual(code, 0, err)
            os.rename(os.path.join(data, "key.new"), os.path.join(data, "key"))
            self.clean(data)

    def test_urls_are_sealed(self):
        for number, path in [a for a in archives() if a[0] < SEALED]:
            data, said = self.store(path)
            self.assertTrue(urls(data), "the store of format %d has none in the clear: nothing is shown here" % number)
            self.assertEqual(run("migrate", data)[0], 0)
            for how in ([], ["--compact"]):
                copy = os.path.join(self.folder, "sealed-%d%s" % (number, "".join(how)))
                self.assertEqual(run("backup", data, copy, *how)[0], 0)
                # free pages keep them: said in docs/operations.md, which names the compact copy as the way to be rid of them
                self.assertEqual(bool(urls(copy)), not how, urls(copy))
            # the compact copy in the store's place
            shutil.copy(os.path.join(data, "key"), copy)
            self.clean(copy)

    def test_a_newer_format(self):
        data, _ = self.store(archives()[-1][1])
        self.assertEqual(run("migrate", data)[0], 0)
        path = os.path.join(data, "data.mdb")
        with open(path, "rb") as f:
            text = f.read()
        text, n = re.subn(rb"(formathookline)[\x01-\x7f]", lambda m: m.group(1) + bytes([FORMAT + 1]), text)
        self.assertGreater(n, 0)
        with open(path, "wb") as f:
            f.write(text)
        for command in (["serve", "--allow-root", "--data", data, "--listen", "127.0.0.1:0"], ["check", data], ["migrate", data],
                        ["key", "list", "--data", data], ["backup", data, os.path.join(self.folder, "copy")]):
            code, out, err = run(*command)
            self.assertEqual(code, EXIT_STORE, (command, out, err))
            self.assertRegex(err, r"format %d, this program knows up to %d; use a newer one" % (FORMAT + 1, FORMAT))
        with open(path, "rb") as f:
            self.assertEqual(f.read(), text)

    def read_back(self, server, api, said):
        for key in said["keys"]:
            a = server.client(key=key["key"]).get("/v1/events?limit=1")
            self.assertEqual(a.status, 401 if not key["works"] else 200 if "read" in key["scopes"] else 403, key)
        for id, e in said["events"].items():
            a = api.get("/v1/events/" + id)
            self.assertEqual((a.status, {k: a.json.get(k) for k in e}), (200, e))
        for w in said["webhooks"].values():
            self.assertEqual(api.get("/v1/webhooks/%s/stats" % w["id"]).json["deliveries"], w["stats"])
        totals = api.get("/v1/accounts/default").json["totals"]
        self.assertEqual({k: totals[k] for k in said["totals"]}, said["totals"])
        for s in said["servers"]:
            self.assertEqual(api.get("/v1/servers/" + s["id"]).json["name"], s["name"])
        for t in said["types"]:
            self.assertEqual(api.get("/v1/event-types/" + t).status, 200)
        good = api.get("/v1/webhooks/" + said["webhooks"]["good"]["id"]).json
        self.assertEqual((good["description"], good["metadata"], good["headers"]), ("change 4", {"n": 4}, {"x-a": "4"}))
        for status, n in (("succeeded", 49), ("failed", 12), ("cancelled", 1), ("pending", 10)):
            self.assertEqual(len(api.deliveries(status=status)), n)
        flaky = api.deliveries(webhook=said["webhooks"]["flaky"]["id"])[0]
        self.assertEqual([a["http_status"] for a in api.delivery(flaky["id"])["attempts"]], [500, 500, 204])
        for k in said["kept"]:
            a = api.post("/v1/events", k["body"].encode(), headers={"Idempotency-Key": k["key"]})
            self.assertEqual((a.status, a.json, a.headers.get("idempotent-replayed")), (202, k["answer"], "true"))

    def go_on(self, api, said, receiver):
        """What waited goes out; new events and alerts work."""
        waiting = {d["event_id"] for d in api.deliveries(status="pending")}
        for name in ("down", "later"):
            w = said["webhooks"][name]
            a = api.patch("/v1/webhooks/" + w["id"], {"url": "%s/ok/%s" % (receiver.url, name), "enabled": True})
            self.assertEqual(a.status, 200, a)
        receiver.wait(10)
        self.assertEqual({r["headers"]["webhook-id"] for r in receiver.records}, waiting)
        for r in receiver.records:
            name = r["target"].split("/")[-1]
            self.assertTrue(harness.verify(said["webhooks"][name]["secret"], r))
            self.assertEqual(json.loads(r["body"])["data"], said["events"][r["headers"]["webhook-id"]]["data"])
        w = said["webhooks"]["good"]
        self.assertEqual(api.patch("/v1/webhooks/" + w["id"], {"url": receiver.url + "/ok/good"}).status, 200)
        id = api.publish("made.a", {"after": True})["id"]
        receiver.wait_for(lambda records: any(r["headers"]["webhook-id"] == id and r["target"] == "/ok/good" for r in records))
        r = [r for r in receiver.records if r["headers"]["webhook-id"] == id and r["target"] == "/ok/good"][0]
        for secret in (w["secret"], w["old_secret"]):      # in its overlap
            self.assertTrue(harness.verify(secret, r))
        item = b'{"item_id":7,"market_hash_name":"AK","phase":null}\n'
        self.assertEqual(api.put("/v1/market/items", item, content_type="application/x-ndjson").status, 200)
        a = api.post("/v1/alerts", {"item_id": 7, "kind": "price_below", "threshold": "5", "enabled": False})
        self.assertEqual(a.status, 201, a)

    @unittest.skipIf(harness.SANITIZED, "the sanitizer and libfaketime both want to be loaded first")
    def test_serve(self):
        """On the day the store was made, an hour later: windows run on, the clock must not have."""
        self.assertTrue(FAKETIME, "the Debian package libfaketime is missing: tools/deps install test")
        for number, path in archives():
            data, said = self.store(path)
            now = os.path.join(self.folder, "now")
            with open(now, "w", encoding="ascii") as f:
                f.write("%+d\n" % (said["made_at"] + 3700 - int(time.time())))
            env = harness.clean_env(LD_PRELOAD=FAKETIME[0], FAKETIME_TIMESTAMP_FILE=now, FAKETIME_NO_CACHE="1")
            server = harness.Server(data=data, env=env, settings={"server.sandbox": "off"})
            server.logfile = data + ".log"
            with Receiver() as receiver, server:
                api = server.client(key=said["admin"])
                self.read_back(server, api, said)
                self.go_on(api, said, receiver)
                until(lambda: not api.deliveries(status="pending", webhook=said["webhooks"]["later"]["id"]))
                self.assertEqual(server.stop(), 0, server.log()[-2000:])
            self.clean(data)
            self.assertEqual([line for line in server.log(all_runs=True).splitlines() if "level=error" in line], [])

    def test_a_power_cut_on_the_way(self):
        """Every state of the recorded start that brings the store here opens, with all its events."""
        for number, path in archives():
            data, said = self.store(path)
            trace, book, work = (os.path.join(self.folder, "%s-%d" % (n, number)) for n in ("trace", "book", "work"))
            shutil.copytree(data, os.path.join(work, "before"))
            with shim.Server(data, trace=trace):
                pass
            with open(book, "w", encoding="utf-8") as f:
                for e in said["events"].values():
                    if e["external_id"]:
                        f.write("V\tevent\t%s\t%s\n" % (e["external_id"], json.dumps(e["data"], ensure_ascii=True)))
                        f.write("A\t0\tevent\t%s\t0\n" % e["external_id"])
            done = subprocess.run([os.path.join(shim.BUILD, "tests", "crash", "power"), trace, book, work, "--before",
                                   os.path.join(work, "before"), "--states", "2000"], capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            print("format %d: %s" % (number, done.stdout))


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
