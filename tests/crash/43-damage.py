#!/usr/bin/env python3
"""Damage. The file of a used store is spoilt at places of a seed's choice, or cut: `check` names it, and otherwise every acknowledged
record is there; `serve` refuses with the reason and the way back, or works; neither crashes, and neither changes the file it
refuses. Then the backup is put back, and it goes on.

LMDB keeps no checksums: a bit that turns over inside a stored value may make another value that is as good. Those are counted, and
must be where the damage is.

    43-damage.py [--damages N] [--seed N]"""
import hashlib
import os
import random
import shutil
import struct
import sys
import tempfile
import time
import unittest

import shim
from shim import harness
from harness import Receiver, run, until

SEED = int(os.environ.get("HOOKLINE_SEED", time.time_ns() % 1000000))
DAMAGES = int(os.environ.get("HOOKLINE_DAMAGES", "25" if harness.SANITIZED else "150"))
SERVE_EVERY = 5          # states the server is started on as well
EXIT_STORE = 4
PAGE = 4096
LEAF = 2                 # a page of LMDB with rows


def spoil(dice, whole):
    """(what was done, the bytes)."""
    text = bytearray(whole)
    pages = len(whole) // PAGE
    at = dice.randrange(pages) * PAGE
    kind = dice.choice(["bits", "head", "page", "zeros", "ones", "sector", "cut"])
    if kind == "bits":
        for _ in range(dice.randrange(1, 9)):
            text[dice.randrange(len(text))] ^= 1 << dice.randrange(8)
    elif kind == "head":
        for _ in range(dice.randrange(1, 5)):
            text[at + dice.randrange(64)] = dice.randrange(256)
    elif kind == "page":
        other = dice.randrange(pages) * PAGE
        text[at:at + PAGE] = whole[other:other + PAGE]
    elif kind in ("zeros", "ones"):
        text[at:at + PAGE] = (b"\0" if kind == "zeros" else b"\xff") * PAGE
    elif kind == "sector":
        at += 512 * dice.randrange(8)
        text[at:at + 512] = dice.randbytes(512)
    else:
        del text[dice.randrange(1, len(text)):]
    return "%s at %d" % (kind, at), bytes(text)


class Damage(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        """A used store, its backup, and what was acknowledged."""
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        cls.folder = os.path.realpath(tempfile.mkdtemp(prefix="hl-damage-", dir=memory))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.data, cls.copy = os.path.join(cls.folder, "data"), os.path.join(cls.folder, "copy")
        cls.receiver = Receiver().start()
        cls.addClassCleanup(cls.receiver.stop)
        with cls.server() as s:
            api = s.client()
            hooks = [api.webhook("%s/%s" % (cls.receiver.url, b), retry=[3600]) for b in ("ok/a", "status/500/b", "ok/c")]
            cls.key = s.key
            cls.events = {}
            for n in range(120):
                data = {"n": n, "pad": "y" * (n * 37 % 900) if n % 30 else "z" * 9000}
                cls.events[api.publish("harm.%d" % (n % 3), data, id="harm-%d" % n)["id"]] = data
            for w in (hooks[0], hooks[2]):
                until(lambda: api.get("/v1/webhooks/%s/stats" % w["id"]).json["deliveries"]["pending"] == 0)
            until(lambda: api.get("/v1/webhooks/%s/stats" % hooks[1]["id"]).json["pending_by_error"].get("http_status", 0) >= 5)
            time.sleep(0.3)
            assert s.stop() == 0
        code, out, err = run("backup", cls.data, cls.copy, "--with-key")
        assert code == 0, err
        with open(os.path.join(cls.data, "data.mdb"), "rb") as f:
            cls.whole = f.read()

    @classmethod
    def server(cls, data=None):
        s = harness.Server(data=data or cls.data)
        s.logfile = s.data + ".log"
        return s

    def lay(self, text, data=None):
        with open(os.path.join(data or self.data, "data.mdb"), "wb") as f:
            f.write(text)

    def checked(self, what):
        """Exit code of check, which must not be killed and must say something."""
        code, out, err = run("check", self.data)
        self.assertIn(code, (0, 1, EXIT_STORE), "seed %d, %s: %s%s" % (SEED, what, out[-500:], err[-2000:]))
        last = out.splitlines()[-1:]
        if code == 1:
            self.assertIn("damage", out + err, what)
            self.assertTrue(last == ["damaged"] or "damage:" in err, (what, out, err))
        elif code == EXIT_STORE:
            self.assertRegex(err, r"damaged, restore a backup|key|format|no store|another program", what)
        else:
            self.assertEqual(last, ["clean"], what)
        return code

    def missing(self, api):
        """Acknowledged events that are not there or whose data is no JSON any more; those that say something else."""
        gone, other = [], []
        for id, data in self.events.items():
            a = api.get("/v1/events/" + id)
            try:
                if a.status != 200:
                    gone.append(id)
                elif a.json["data"] != data:
                    other.append(id)
            except ValueError:
                gone.append(id)
        return gone, other

    def served(self, what, named):
        """The server refuses, or runs and answers; it does not crash."""
        before = hashlib.sha256(open(os.path.join(self.data, "data.mdb"), "rb").read()).digest()
        s = self.server()
        s.start(wait=False)
        try:
            until(lambda: s.process.poll() is not None or "ev=serve.ready" in s.log(), "the start")
            if s.process.poll() is not None:
                self.assertEqual(s.process.returncode, EXIT_STORE, "seed %d, %s: %s" % (SEED, what, s.log()[-2000:]))
                self.assertIn("ev=serve.start_failed", s.log())
                self.assertEqual(hashlib.sha256(open(os.path.join(self.data, "data.mdb"), "rb").read()).digest(), before, what)
                return "refused"
            s.ready()
            gone, other = self.missing(s.client(key=self.key))
            if not named:
                self.assertEqual(gone, [], "seed %d, %s: check said clean" % (SEED, what))
            # what it does next may run into damage check named; it says so then
            code = s.stop()
            self.assertIn(code, (0, 5), "seed %d, %s: %s" % (SEED, what, s.log()[-2000:]))
            return "changed" if other else "worked"
        finally:
            s.__exit__()

    def test_damage(self):
        dice = random.Random(SEED)
        codes, ends = {}, {}
        for n in range(DAMAGES):
            what, text = spoil(dice, self.whole)
            self.lay(text)
            code = self.checked(what)
            codes[code] = codes.get(code, 0) + 1
            if n % SERVE_EVERY == 0:
                end = self.served(what, named=code != 0)
                ends[end] = ends.get(end, 0) + 1
                if code == 0:
                    self.assertNotEqual(end, "refused", "seed %d, %s: check found nothing" % (SEED, what))
        print("seed %d: %d damages: check named %d, found nothing wrong with %d; the server: %s" %
              (SEED, DAMAGES, codes.get(1, 0) + codes.get(EXIT_STORE, 0), codes.get(0, 0), ends))
        self.assertGreater(codes.get(1, 0) + codes.get(EXIT_STORE, 0), DAMAGES / 3)

    def test_the_way_back(self):
        """As operations.md says: the backup put in the place of the damaged directory."""
        text = bytearray(self.whole)
        for at in range(0, len(text), PAGE):
            flags, _, used = struct.unpack_from("<HHH", text, at + 10)
            if flags == LEAF and b"y" * 40 in text[at + used:at + PAGE]: # events; what leads to them stays, so that each is found
                text[at:at + PAGE] = bytes(PAGE)
        self.lay(bytes(text))
        code, out, err = run("check", self.data)
        self.assertEqual((code, out.splitlines()[-1]), (1, "damaged"), err)
        self.assertGreater(out.count("damage: "), 3, "every damage is named: " + out + err)
        self.assertIn("restore a backup", err)
        for command in (["serve", "--allow-root", "--data", self.data, "--listen", "127.0.0.1:0"], ["migrate", self.data],
                        ["backup", self.data, os.path.join(self.folder, "no")], ["backup", self.data, os.path.join(self.folder, "no"), "--compact"]):
            code, out, err = run(*command)
            self.assertIn(code, (1, EXIT_STORE), (command, err))
            self.assertRegex(err, "damaged.*restore a backup", command)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "no")))
        with open(os.path.join(self.data, "data.mdb"), "rb") as f:
            self.assertEqual(f.read(), bytes(text), "nobody repairs anything")
        back = os.path.join(self.folder, "back")
        shutil.copytree(self.copy, back)
        self.assertEqual(run("check", back)[0], 0)
        with self.server(back) as s:
            api = s.client(key=self.key)
            self.assertEqual(self.missing(api), ([], []))
            id = api.publish("harm.0", "after")["id"]
            self.receiver.wait_for(lambda records: any(r["headers"]["webhook-id"] == id for r in records))
            self.assertEqual(s.stop(), 0)

    def test_an_empty_file_is_no_new_store(self):
        """The key says that there was one."""
        self.lay(b"")
        s = self.server()
        s.start(wait=False)
        self.assertEqual(s.process.wait(30), EXIT_STORE, s.log())
        self.assertIn("it is empty", s.log())
        self.assertEqual(os.path.getsize(os.path.join(self.data, "data.mdb")), 0)

    def test_damage_under_a_running_server(self):
        """Pages that go bad while it runs: it answers what it can, or ends and says what to look at; never silently."""
        for n in range(2 if harness.SANITIZED else 6):
            dice = random.Random(SEED + n)
            self.lay(self.whole)
            s = self.server()
            s.may_report = True # LMDB follows pages that were good when it opened them, wherever they lead now
            with s:
                api = s.client(key=self.key)
                with open(os.path.join(self.data, "data.mdb"), "r+b") as f:
                    for page in dice.sample(range(2, len(self.whole) // PAGE), 12):
                        f.seek(page * PAGE + dice.choice([10, 12, 14, 16, 18]))
                        f.write(dice.randbytes(4))
                try:
                    self.missing(api)
                    for i in range(20):
                        api.post("/v1/events", {"type": "harm.1", "data": i})
                except Exception:  # noqa: BLE001  (it may end)
                    pass
                if s.process.poll() is None:
                    s.stop()
                code = s.process.wait(30)
                told = "damaged pages" in s.log() or "level=error" in s.log() or harness.SANITIZED
                self.assertTrue(code == 0 or told, "seed %d: exit %d, and nothing said: %s" % (SEED + n, code, s.log()[-1500:]))


if __name__ == "__main__":
    for option, name in (("--damages", "DAMAGES"), ("--seed", "SEED")):
        if option in sys.argv:
            i = sys.argv.index(option)
            globals()[name] = int(sys.argv[i + 1])
            del sys.argv[i:i + 2]
    unittest.main(verbosity=1, warnings="ignore")
