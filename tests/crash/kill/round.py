"""One round: a new store, a crowd, lives of the server until there were enough, then everything is delivered and judged."""
import collections
import os
import random
import shutil
import signal
import sys
import tempfile
import time

import crowd as crowds
import harness
import points
import scenes
from churn import Churn, Market
from host import BOUND, Host

CONNECTIONS = 18
OUTSTANDING = {False: 2000, True: 30000}     # deliveries the publishers let wait: in a minute's round, in a large one
EVENTS_MAX = 60000
TRACE = os.environ.get("HOOKLINE_KILL_TRACE")
KINDS = [(scenes.random_life, 70), (scenes.long_life, 8), (scenes.stopped_life, 8), (scenes.orderly_life, 8), (scenes.takeover, 6)]


class Round:
    def __init__(self, binary, seed, want_points, check_every=1, large=False, points_at_all=True, folder=None, look=None):
        """want_points: every named point is reached at least once. folder: where the store lies, instead of the temporary directory.
        look(round): called between lives; True ends the round early."""
        self.seed, self.dice, self.check_every = seed, random.Random(seed), check_every
        self.folder = tempfile.mkdtemp(prefix="hl-kill-", dir=folder)
        self.outstanding, self.on_look = OUTSTANDING[large], look or (lambda r: False)
        self.all_points = points.read()
        plan = [(n, s) for n, s in self.all_points if s != "later"] if want_points else self.some_points(large) if points_at_all else []
        self.dice.shuffle(plan)
        self.plan = collections.deque(plan)
        self.tries = collections.Counter()
        self.later = [n for n, s in self.all_points if s == "later"] if want_points else []
        self.kills = self.lives = self.checks = 0
        self.hits, self.count, self.restarts = collections.Counter(), collections.Counter(), []
        self.flood = self.quiet = self.up = False
        self.stretch = 1.0           # of the usual lives; look() may change it
        self.started = time.monotonic()
        self.crowd = crowds.Crowd(binary, self.folder, seed, EVENTS_MAX, CONNECTIONS)
        self.host = Host(os.path.join(self.folder, "s"), self.crowd.certs["ca"])
        self.hooks = crowds.hooks()

    def some_points(self, large):
        """For rounds that need not have them all."""
        rows = [(n, s) for n, s in self.all_points if s in ("start", "load", "drain", "takeover")]
        return [self.dice.choice(rows) for _ in range(120 if large else 40)]

    def points_of(self, scene):
        return [n for n, s in self.all_points if s == scene]

    # ---- before and after the lives

    def prepare(self):
        self.begin()
        if not self.host.came_up():
            raise AssertionError("it does not start:\n" + self.host.log())
        api = self.host.client()
        types = [{"name": t, "dialects": {"cs2cap": "alert", "aboutyou": "order", "stellarstack": "server", "bitnob": "wallet"}}
                 for t in crowds.TYPES[:4]]
        a = api.put("/v1/event-types", types)
        assert a.status == 200, a
        a = api.post("/v1/accounts", {"id": "market"})
        assert a.status == 201, a
        for hook in self.hooks:
            crowds.register(self.host, self.crowd, api, hook)
        self.churn = Churn(self.host, self.crowd, self.hooks, self.seed + 1)
        self.market = Market(self.host, self.crowd, self.seed + 2)
        self.market.begin()
        self.crowd.say("publish", "on", self.outstanding)
        self.tell_crowd()
        self.churn.start()
        self.market.start()
        self.watch(0.3)
        self.end_orderly()

    def tell_crowd(self, port=None):
        self.crowd.say("server", self.host.port if port is None else port, self.host.unix, self.host.key)

    def report(self):
        return self.crowd.ask("report")

    # ---- one life

    def begin(self, crash_at=None):
        self.next_life(self.host.launch(crash_at))

    def next_life(self, process):
        self.lives += 1
        self.up = False
        self.began = time.monotonic()
        self.trouble()

    def alive(self):
        return self.host.process.poll() is None

    def look(self):
        """Tells the crowd the port as soon as there is one."""
        if self.up:
            return
        log = self.host.log()
        if "ev=serve.ready" in log:
            self.host.came_up()
            self.restarts.append(time.monotonic() - self.began)
            self.up = True
            self.tell_crowd()

    def trouble(self):
        """A receiver's port shuts or opens; the pace of the others changes."""
        if self.dice.random() < 0.2:
            self.crowd.say("refuse", "on" if self.dice.random() < 0.5 else "off")
        if hasattr(self, "market"):
            self.market.flooding = self.flood
            self.churn.still = self.flood or self.quiet
            self.market.still = self.quiet
        self.crowd.say("publish", "off" if self.flood or self.quiet else "on", self.outstanding)

    def watch(self, seconds):
        """Lets it live for so long; it must not die of itself."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            if not self.alive():
                raise AssertionError("the server died of itself with %s:\n%s" % (self.host.process.returncode, self.host.log()[-3000:]))
            time.sleep(0.003)

    def until_up(self):
        end = time.monotonic() + 30
        while not self.up:
            self.watch(0.005)
            if time.monotonic() > end:
                raise AssertionError("not ready within 30 s:\n" + self.host.log()[-2000:])

    def dies(self, seconds, stop_when_up=False):
        """Whether it kills itself within that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            code = self.host.process.poll()
            if code == -signal.SIGKILL:
                self.after_kill("point")
                return True
            if code is not None:
                raise AssertionError("the server ended with %s:\n%s" % (code, self.host.log()[-3000:]))
            if self.up and stop_when_up:
                return False
            time.sleep(0.002)
        return False

    def kill(self, how):
        if self.host.kill() != -signal.SIGKILL:
            raise AssertionError("the server ended with %s:\n%s" % (self.host.process.returncode, self.host.log()[-3000:]))
        self.after_kill(how)

    def after_kill(self, how):
        self.tell_crowd(0)
        self.crowd.ask("life", "killed")
        self.kills += 1
        self.count[how] += 1
        if self.kills % self.check_every == 0:
            self.host.sound("seed %d, after kill %d" % (self.seed, self.kills))
            self.checks += 1

    def end_orderly(self):
        process = self.host.process
        process.send_signal(signal.SIGTERM)
        code = self.host.gone(60)
        if code != 0:
            raise AssertionError("SIGTERM: exit code %s:\n%s" % (code, self.host.log()[-3000:]))
        self.tell_crowd(0)
        self.crowd.ask("life", "clean")
        self.count["orderly"] += 1

    def hit(self, name, life=True):
        self.hits[name] += 1
        if not life:
            self.count["beside"] += 1

    # ---- all of them

    def trace(self, scene, name=""):
        if TRACE:
            print("%6.1f s, kill %d: %s %s; %s" % (time.monotonic() - self.started, self.kills, scene.__name__, name, self.report()),
                  file=sys.stderr, flush=True)

    def next_scene(self):
        if self.plan and self.dice.random() < 0.6:
            name, scene = self.plan.popleft()
            before = self.hits[name]
            self.trace(scenes.SCENES[scene], name)
            scenes.SCENES[scene](self, name)
            self.tries[name] += 1
            if self.hits[name] == before and self.tries[name] < 8:
                self.plan.append((name, scene))
            return
        scene, = self.dice.choices([k for k, _ in KINDS], [w for _, w in KINDS])
        self.trace(scene)
        scene(self)

    def run(self, kills, deliveries, seconds):
        """Until there were so many kills and deliveries, or the time is over; every wanted point at any rate."""
        self.prepare()
        while True:
            for worker in (self.churn, self.market):
                if worker.error:
                    raise AssertionError(worker.error)
            self.next_scene()
            if self.kills % 8 == 0:
                wrong = self.wrong_so_far(self.report())
                if wrong:
                    raise AssertionError("seed %d: %s" % (self.seed, "; ".join(wrong)))
            if self.on_look(self):
                break
            late = time.monotonic() - self.started > seconds
            enough = self.kills >= kills and self.report()["distinct"] >= deliveries
            if (late or enough) and not (self.later and self.plan):
                break
        return self.finish()

    def finish(self):
        """No more kills: everything must arrive."""
        self.begin()
        self.until_up()
        for worker in (self.churn, self.market):
            worker.stopping.set()
            worker.join(60)
            if worker.error or worker.is_alive():
                raise AssertionError(worker.error or worker.name + " does not end")
        r = self.report()
        if r["unverified"]:                        # every rotation is acknowledged by now
            raise AssertionError("seed %d: %d requests are signed with a secret their webhook does not have" % (self.seed, r["unverified"]))
        self.crowd.say("heal", -1)
        self.crowd.say("refuse", "off")
        self.crowd.say("publish", "off", 0)
        harness.until(self.all_acknowledged, "every event to be acknowledged", 60, 0.02)
        api = self.host.client()
        self.market.stopping.clear()
        self.market.finish()
        for h in self.hooks:                       # what waits for its backoff, or is parked, is due now
            if h.dialect == "hookline" and h.port != "dead" and not h.has("a"):
                for enabled in (False, True):
                    a = api.patch("/v1/webhooks/" + h.id, {"enabled": enabled})
                    assert a.status == 200, (h.index, a)
        harness.until(lambda: self.settled(api), "everything to arrive: seed %d, %s" % (self.seed, self.report()), 90, 0.05)
        result = self.judge(api)
        for h in self.hooks:
            if h.classes == crowds.DEAD:                      # what waits there can only end with its window
                assert self.stats(api, h)["pending"] > 0 or not self.later, "nothing waits for the dead"
                assert api.patch("/v1/webhooks/" + h.id, {"enabled": False}).status == 200
        if self.host.end() != 0:
            raise AssertionError("it does not end in order:\n" + self.host.log()[-2000:])
        self.host.sound("seed %d, at the end" % self.seed)
        self.checks += 1
        if self.later:
            scenes.month_later(self, self.later)
        missing = [n for n, _ in self.all_points if not self.hits[n]] if self.later and not self.plan else []
        if missing:
            raise AssertionError("crash points never reached: %s" % ", ".join(missing))
        errors = self.host.errors()
        if errors:
            raise AssertionError("seed %d: errors in the log: %s" % (self.seed, "\n".join(errors[:5])))
        return dict(result, kills=self.kills, at_points=sum(self.hits.values()), points=len(self.hits), lives=self.lives, checks=self.checks)

    def all_acknowledged(self):
        """Before a webhook is disabled: those that are get no new events."""
        r = self.report()
        return r["idle"] and r["acked"] == r["attempted"]

    def stats(self, api, hook):
        headers = {"Hookline-Account": "market"} if hook.has("a") else {}
        a = api.get("/v1/webhooks/%s/stats" % hook.id, headers=headers)
        assert a.status == 200, a
        return a.json["deliveries"]

    def settled(self, api):
        r = self.report()
        if r["unverified"]:
            return False
        done = True
        for h in self.hooks:
            if h.port == "dead":
                continue
            s = self.stats(api, h)
            done = done and s["pending"] == 0 and (s["failed"] == 0 or not h.has("f"))
            if h.has("f") and s["failed"]:
                a = api.post("/v1/webhooks/%s/recover" % h.id, {"since": "2020-01-01T00:00:00Z"})
                assert a.status == 202, a
        return done and r["outstanding"] == 0 or (done and self.report()["outstanding"] == 0)

    def wrong_so_far(self, r):
        wrong = ["%s: %d times, first %s" % (what, n, example) for what, (n, example) in r["faults"].items()]
        if r["duplicates_max"] > BOUND:
            wrong.append("life %d forgot %d deliveries; at most %d may be in flight or uncommitted" %
                         (r["duplicates_max_life"], r["duplicates_max"], BOUND))
        return wrong

    def judge(self, api):
        r, verdict = self.report(), self.crowd.ask("judge")
        distinct = {h: d for h, _, _, d in verdict["hooks"]}
        wrong = self.wrong_so_far(r)
        if verdict["lost"] or verdict["unexpected"]:
            wrong.append("lost %d (%s), unexpected %d (%s)" % (verdict["lost"], verdict["lost_example"], verdict["unexpected"],
                                                               verdict["unexpected_example"]))
        for h in self.hooks:
            s = self.stats(api, h)
            if h.has("c") and s != {"pending": 0, "succeeded": distinct[h.index], "failed": 0, "cancelled": 0}:
                wrong.append("webhook %d: %s, received %d" % (h.index, s, distinct[h.index]))
        events = api.get("/v1/accounts/default").json["totals"]["events"]
        if events != r["acked"]:
            wrong.append("%d events are stored, %d were acknowledged" % (events, r["acked"]))
        wrong += self.judge_replays() + self.judge_alerts(api)
        if wrong:
            raise AssertionError("seed %d:\n%s" % (self.seed, "\n".join(wrong)))
        times = sorted(self.restarts)
        return {"seed": self.seed, "seconds": round(time.monotonic() - self.started, 1), "events": r["acked"], "deliveries": sum(distinct.values()),
                "requests": r["requests"], "resent": r["resent"], "recovered": r["replayed"], "lost": 0, "unexpected": 0,
                "duplicates": r["duplicates"], "duplicates_max": r["duplicates_max"], "bound": BOUND, "alerts": r["alerts"],
                "replays": len(self.churn.replayed), "rotations": self.churn.rotations, "deleted": self.churn.dooms,
                "restart_p50_ms": round(1000 * times[len(times) // 2]), "restart_max_ms": round(1000 * times[-1]), "counts": dict(self.count)}

    def judge_replays(self):
        """Each replay asked for is one delivery, and no more came."""
        target = next(h for h in self.hooks if h.has("R"))
        got = self.crowd.ask("goods", target.index)
        lost = set(self.churn.replayed) - set(got)
        extra = set(got) - set(self.churn.replayed)
        return ["replays: lost %s, nobody asked for %s" % (sorted(lost)[:5], sorted(extra)[:5])] if lost or extra else []

    def judge_alerts(self, api):
        """Every rule that was acknowledged is there, every rule has fired, once each (the crowd has seen to that)."""
        rules, cursor = {}, ""
        while cursor is not None:
            a = api.get("/v1/alerts?limit=250" + (cursor and "&cursor=" + cursor), headers={"Hookline-Account": "market"})
            assert a.status == 200, a
            rules.update({r["id"]: r["enabled"] for r in a.json["data"]})
            cursor = a.json["next_cursor"]
        seen = set(self.crowd.ask("alerts"))
        wrong = []
        if self.market.rules != set(rules):
            wrong.append("alerts: %d acknowledged, %d stored" % (len(self.market.rules), len(rules)))
        if seen != set(rules) or any(rules.values()):
            wrong.append("alerts: of %d rules %d were received, %d are still enabled" % (len(rules), len(seen), sum(rules.values())))
        return wrong

    def close(self, keep=False):
        for worker in ("churn", "market"):
            if hasattr(self, worker):
                getattr(self, worker).stopping.set()
        if self.host.process and self.host.process.poll() is None:
            self.host.process.kill()
            self.host.process.wait()
        self.crowd.stop()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
