"""The scenario `alerts`: many rules over a market, prices streaming in."""
import http.client, json, statistics, threading, time

import rig
from report import Row
from rig import Failed

PROVIDERS, STEP = 20, 7919      # both as in load/ticks.c, as is own()
FX = {"EUR": 0.92, "GBP": 0.79, "CNY": 7.24, "JPY": 155.2, "USD": 1}


def own(item):
    """The item's usual price in cents."""
    return 1000 + item * STEP % 99000


def rule(n, items):
    """The n-th: 40 % below, 40 % above, 20 % spreads, in four currencies; none is true from 950 to 1050 per mille of own()."""
    item, turn, share = 1 + n % items, n // items % 5, n * STEP % 1000 / 1000
    if turn == 4:
        return {"item_id": item, "kind": "spread_exceeds", "threshold": f"{30 + 60 * share:.2f}"}
    currency = ("USD", "EUR", "CNY", "JPY")[turn]
    factor = 0.5 + 0.4 * share if turn < 2 else 1.1 + 0.4 * share
    return {"item_id": item, "kind": "price_below" if turn < 2 else "price_above", "currency": currency,
            "threshold": f"{own(item) / 100 * FX[currency] * factor:.2f}"}


class Market:
    def __init__(self, items):
        self.server, self.items = rig.Server(), items
        self.stream("PUT", "items", ({"item_id": i, "market_hash_name": f"AK-47 | Pattern {i} (Field-Tested)", "phase": None}
                                     for i in range(1, items + 1)))
        self.stream("POST", "bids", ({"item_id": i, "provider": "market0", "highest_bid": own(i) * 95 // 100, "num_bids": 3}
                                     for i in range(1, items + 1)))
        self.server.call("PUT", "/v1/market/fx", {"rates": FX})
        # a channel that delivers nothing: what is measured ends with the stored event
        self.server.call("PATCH", "/v1/accounts/default",
                         {"email": "bench@example.com", "email_verified": True, "alert_emails": True})

    def stream(self, method, what, records):
        body = "".join(json.dumps(r) + "\n" for r in records)
        answer = self.request(method, f"/v1/market/{what}", body, "application/x-ndjson")
        if answer["rejected"]:
            raise Failed(f"{what}: {answer}")

    def request(self, method, path, body, content_type="application/json", connection=None):
        c = connection or http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        c.request(method, path, body, {"Authorization": f"Bearer {self.server.key}", "Content-Type": content_type})
        answer = c.getresponse()
        text = answer.read()
        if not connection:
            c.close()
        if answer.status >= 300:
            raise Failed(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def rules(self, n, threads=8):
        """Makes n rules, a hundred in each request. Returns how many a second."""
        failures, began = [], time.monotonic()

        def work(numbers):
            try:
                c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
                for first in range(numbers.start, numbers.stop, 100):
                    v = [rule(i, self.items) for i in range(first, min(first + 100, numbers.stop))]
                    if self.request("POST", "/v1/alerts/batch", json.dumps({"alerts": v}), connection=c)["failed"]:
                        raise Failed("a rule was refused")
                c.close()
            except (Failed, OSError, http.client.HTTPException) as e:
                failures.append(e)
        crew = [threading.Thread(target=work, args=(range(n * t // threads, n * (t + 1) // threads),)) for t in range(threads)]
        [t.start() for t in crew]
        [t.join() for t in crew]
        if failures:
            raise Failed(f"POST /v1/alerts/batch: {failures[0]}")
        return n / (time.monotonic() - began)

    def ticks(self, n, low, high, lines="full", connections=1):
        cpu = self.server.cpu_s()
        out = json.loads(rig.run([rig.OUT / "ticks", self.server.port, self.server.key, n, connections, self.items, PROVIDERS, low,
                                  high, lines], 120))
        if out["accepted"] != n:
            raise Failed(f"{out['accepted']} of {n} ticks were accepted")
        return out | {"cpu_us_per_tick": {k: round((v - cpu[k]) / n * 1e6, 2) for k, v in self.server.cpu_s().items()}}

    def fired(self):
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        c.request("GET", "/metrics", headers={"Authorization": f"Bearer {self.server.key}"})
        text = c.getresponse().read().decode()
        c.close()
        return int(float(next(l for l in text.split("\n") if l.startswith("hookline_alerts_fired_total ")).split()[1]))

    def all_fired(self):
        """Waits until nothing fires any more. Returns how many did since the start, and when the last one was stored."""
        n, at = self.fired(), time.monotonic()
        while time.monotonic() - at < 1:
            time.sleep(0.02)
            now = self.fired()
            if now != n:
                n, at = now, time.monotonic()
        return n, at

    def restart(self):
        """Memory and start time of a process that has just read everything."""
        self.server.halt()
        self.server.launch()
        return self.server.memory(), self.server.start_s


def alerts(plan):
    items, rules, n = plan.pick((2000, 50000, 400000), (20000, 1000000, 2000000))
    laps = plan.pick(2, 5)
    m = Market(items)
    m.ticks(n, 950, 1050) # prices of all
    without, _ = m.restart()
    made = m.rules(rules)
    loaded, start_s = m.restart()
    bytes_each = (loaded["anon_mib"] - without["anon_mib"]) * 1048576 / rules
    quiet = [m.ticks(n, 950, 1050) for _ in range(laps)]
    short = [m.ticks(n, 950, 1050, "short") for _ in range(laps)]
    if m.fired():
        raise Failed("rules fired that were not to")
    began = time.monotonic()
    busy = m.ticks(n // 4, 800, 1000)
    fired, last = m.all_fired()
    m.server.stop()
    rate = lambda laps: statistics.median(l["per_second"] for l in laps)
    what = f"ticks by NDJSON, {rules:,} rules on {items:,} items"
    return [Row("alerts", f"{what}, records of 300 bytes", rate(quiet), "/s", least=200000, goal=500000, detail={"laps": quiet}),
            Row("alerts", f"{what}, records of 120 bytes", rate(short), "/s", detail={"laps": short}),
            Row("alerts", f"the same, {fired:,} rules fire meanwhile", busy["per_second"], "/s", least=200000, goal=500000,
                detail=busy),
            Row("alerts", "events of those rules stored", fired / (last - began), "/s"),
            Row("alerts", "memory of a rule (RssAnon)", bytes_each, "bytes", most=200, goal=80,
                detail={"without": without, "loaded": loaded}),
            Row("alerts", f"start until ready, {rules:,} rules", start_s, "s"),
            Row("alerts", "rules made, a hundred in each request", made, "/s")]
