"""The ways a life of the server goes. Each function is given the round, makes one or more lives and counts the kills in them; the
first word of a crash point's row in src/base/crash.h says which function reaches it."""
import glob
import os
import shutil
import signal
import subprocess
import time

import harness
from host import Host
from points import FAVOURITES, PASSES, RARE

DAY = 86400


def passes(r, name, scene):
    if name in RARE or scene not in PASSES:
        return 1
    return int(PASSES[scene] ** r.dice.random())


# ---- the usual ones

def random_life(r):
    """kill -9 whenever it is: sometimes before it has listened, mostly at work."""
    r.begin()
    r.watch(r.dice.uniform(0, 0.5 * r.stretch))
    r.kill("random")


def long_life(r):
    """Long enough for retries, probes, index runs."""
    r.begin()
    r.watch(r.dice.uniform(0.8, 2.0))
    r.kill("random")


def stopped_life(r):
    """SIGSTOP for a moment, then on; or killed while it stands still."""
    r.begin()
    r.watch(r.dice.uniform(0.1, 0.5))
    if r.alive():
        r.host.signal(signal.SIGSTOP)
        time.sleep(r.dice.uniform(0.02, 0.3))
        r.count["stopped"] += 1
        if r.dice.random() < 0.7:
            r.host.signal(signal.SIGCONT)
            r.watch(r.dice.uniform(0, 0.3))
    r.kill("random")


def orderly_life(r):
    """SIGTERM: requests and attempts end, everything is stored, exit 0. Nothing may come twice for it."""
    r.begin()
    r.watch(r.dice.uniform(0.2, 0.6))
    if not r.up:
        r.kill("random")
        return
    if r.dice.random() < 0.3:
        r.host.signal(signal.SIGHUP)
    r.end_orderly()


# ---- the named points

def start(r, name):
    """Dies while it starts; the next one dies while it starts, too, so that recovery itself is interrupted twice."""
    for point in (name, r.dice.choice(r.points_of("start"))):
        r.begin("%s:%d" % (point, passes(r, point, "start")))
        if not r.dies(6, stop_when_up=True):
            r.watch(0.3)
            r.kill("random")
        else:
            r.hit(point)


def load(r, name):
    r.churn.favourite = FAVOURITES.get(name)
    r.flood = name.startswith("checkpoint.")
    r.quiet = name.startswith("index.")
    r.begin("%s:%d" % (name, passes(r, name, "load")))
    if r.dies(12 if r.flood else 4):
        r.hit(name)
    else:
        r.kill("random")
    r.churn.favourite = None
    r.flood = r.quiet = False


def drain(r, name):
    r.begin(name)
    r.watch(r.dice.uniform(0.1, 0.5))
    r.until_up()
    r.host.signal(signal.SIGTERM)
    if r.dies(30):
        r.hit(name)
    else:
        raise AssertionError("%s was not reached" % name)


def takeover(r, name=None):
    """A successor waits for the lock. With a name it dies waiting; else the first one is killed or ends, and it goes on. It stands
    still in between, so that no request of its own is taken for one of the first."""
    r.begin()
    r.until_up()
    first = r.host.process
    mark, port = r.host.mark, r.host.port
    second = r.host.launch(name, takeover=True)
    if name:
        code = second.wait(20)
        if code != -signal.SIGKILL:
            raise AssertionError("%s: the successor ended with %s" % (name, code))
        r.host.process, r.host.mark, r.host.port = first, mark, port
        r.kills += 1
        r.hit(name, life=False)
        r.watch(0.1)
        r.kill("random")
        return
    harness.until(lambda: "ev=serve.waiting" in r.host.log(), "the successor to wait")
    second.send_signal(signal.SIGSTOP)
    r.host.process = first
    if r.dice.random() < 0.5:
        r.kill("random")
    else:
        r.end_orderly()
    r.host.process = second
    r.next_life(second)
    r.count["takeovers"] += 1
    second.send_signal(signal.SIGCONT)
    r.watch(r.dice.uniform(0.1, 0.4))
    r.kill("random")


def backup(r, name):
    """A backup dies half way, beside a busy server; the next one is whole. Then one during which the server is killed."""
    where = os.path.join(r.folder, "copy")
    r.begin()
    r.until_up()
    env = harness.clean_env(HOOKLINE_CRASH_AT=name)
    code = subprocess.run([harness.PROGRAM, "backup", "--with-key", r.host.data, where], env=env, capture_output=True, timeout=60).returncode
    if code != -signal.SIGKILL:
        raise AssertionError("%s: backup ended with %d" % (name, code))
    r.hit(name, life=False)
    r.count["backup kills"] += 1
    shutil.rmtree(where)
    p = subprocess.Popen([harness.PROGRAM, "backup", "--with-key", r.host.data, where], env=harness.clean_env())
    time.sleep(r.dice.uniform(0, 0.05))
    r.kill("random")
    if p.wait(60) != 0:
        raise AssertionError("a backup ended with %d because the server was killed" % p.returncode)
    code, out, err = harness.run("check", where)
    if (code, out.splitlines()[-1:]) != (0, ["clean"]):
        raise AssertionError("a backup made while the server was killed: %s%s" % (out, err))
    shutil.rmtree(where)


def rekey(r, name):
    """migrate --rekey dies before and after its commit: the store is under one key or the other."""
    new, own = os.path.join(r.folder, "new-key"), os.path.join(r.host.data, "key")
    command = [harness.PROGRAM, "migrate", "--rekey", new, r.host.data]
    code = subprocess.run(command, env=harness.clean_env(HOOKLINE_CRASH_AT=name), capture_output=True, timeout=60).returncode
    if code != -signal.SIGKILL:
        raise AssertionError("%s: migrate --rekey ended with %d" % (name, code))
    r.hit(name, life=False)
    if name == "rekey.sealed":
        r.host.sound("the old key after " + name)
        done = subprocess.run(command, env=harness.clean_env(), capture_output=True, timeout=60)
        if done.returncode:
            raise AssertionError("migrate --rekey after %s: %s" % (name, done.stderr))
    os.replace(new, own)
    r.host.sound("the new key after " + name)
    random_life(r)


def birth(r, name):
    """A new store, killed before it was one."""
    folder = os.path.join(r.folder, "born")
    host = Host(folder, r.crowd.certs["ca"])
    for point in (name, "open.gate", "commit.applied"):
        code = host.launch(point).wait(30)
        if code != -signal.SIGKILL:
            raise AssertionError("%s: a new store's server ended with %s" % (point, code))
        r.kills += 1
        r.hit(point, life=False)
    host.launch()
    if not host.came_up():
        raise AssertionError("a store killed at its birth does not start:\n" + host.log())
    a = host.client().post("/v1/events", {"type": "born", "data": 1})
    if a.status != 202 or host.end() != 0:
        raise AssertionError("a store killed at its birth: %r" % a)
    host.sound("after " + name)
    shutil.rmtree(folder)


SCENES = {"start": start, "load": load, "drain": drain, "takeover": takeover, "backup": backup, "rekey": rekey, "birth": birth}


# ---- the end: a month later

MONTH_SECONDS = 120     # of ours, for what is old to go: jobs asked for while the loop ran are done first


class Clock:
    """The server's, by libfaketime: ours and what was added."""

    def __init__(self, folder, seconds):
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            raise AssertionError("the Debian package libfaketime is missing: tools/deps install test")
        self.file, self.ahead = os.path.join(folder, "clock"), 0
        self.env = {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": "1"}
        self.advance(seconds)

    def advance(self, seconds):
        self.ahead += seconds
        with open(self.file + ".new", "w", encoding="ascii") as f:
            f.write("+%d\n" % self.ahead)
        os.replace(self.file + ".new", self.file)


def month_later(r, names):
    """What is old goes: idempotency records, windows that are over, events past their retention. Killed at each of the points in a
    copy of its own, because what one life has cleared away the next cannot be caught at. Each time nothing of what was published is
    left in the end, and the store is sound."""
    clock, saved = Clock(r.folder, 31 * DAY), os.path.join(r.folder, "saved")
    shutil.copytree(r.host.data, saved)
    for name in names:
        shutil.rmtree(r.host.data)
        shutil.copytree(saved, r.host.data)
        r.host.launch(name, more_env=clock.env)
        until = time.monotonic() + MONTH_SECONDS
        while r.host.gone(0.1) is None and time.monotonic() < until:
            clock.advance(61)
        if r.host.gone(0.1) != -signal.SIGKILL:
            raise AssertionError("%s was not reached:\n%s" % (name, r.host.log()[-2000:]))
        r.kills += 1
        r.hit(name, life=False)
        clear_away(r, clock, name)
    shutil.rmtree(saved)


def clear_away(r, clock, name):
    r.host.launch(None, more_env=clock.env)
    if not r.host.came_up(60):
        raise AssertionError("a month later, after %s, it does not start:\n%s" % (name, r.host.log()[-2000:]))
    client, until = r.host.client(), time.monotonic() + MONTH_SECONDS
    while client.get("/v1/events?limit=1").json["data"]:
        if time.monotonic() < until:
            clock.advance(61)
            time.sleep(0.02)
            continue
        raise AssertionError("a month later, after %s, there are still events:\n%s" % (name, r.host.log()[-2000:]))
    if r.host.end() != 0:
        raise AssertionError("a month later, after %s, it does not end in order" % name)
    r.host.sound("a month later, after " + name)
