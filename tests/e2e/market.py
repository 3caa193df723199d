"""What the tests of market and alerts share: records as the market's feeds have them, and calls that put them."""
import json

NDJSON = "application/x-ndjson"
AK, KNIFE, CASE = 156, 7001, 9007199254740991     # items every test may use
NAMES = {AK: ("AK-47 | Redline (Field-Tested)", None), KNIFE: ("★ Karambit | Doppler (Factory New)", "Phase 2"),
         CASE: ("Revolution Case", None)}


def lines(records):
    return b"".join(json.dumps(r).encode() + b"\n" for r in records)


def item(id, name=None, phase=None):
    return {"item_id": id, "market_hash_name": name or "Item %d" % id, "phase": phase, "rarity": {"name": "Classified"}, "tags": [1]}


def ask(id, cents, provider="buff163", **more):
    """An ask with everything the feeds send."""
    return dict({"provider": provider, "item_id": id, "market_hash_name": NAMES.get(id, ("Item %d" % id,))[0], "phase": None,
                 "lowest_ask": cents, "lowest_ask_decimal": None if cents is None else "%.2f" % (cents / 100), "quantity": 12,
                 "link": "https://example.com/%s/%d?a=1&b=2" % (provider, id), "url": None, "timestamp": "2026-04-12T18:20:11Z",
                 "last_updated": "2026-04-12T18:20:12.5Z"}, **more)


def bid(id, cents, provider="buff163", **more):
    return dict({"provider": provider, "item_id": id, "market_hash_name": NAMES.get(id, ("Item %d" % id,))[0], "phase": None,
                 "highest_bid": cents, "highest_bid_decimal": None, "num_bids": 3, "timestamp": "2026-04-12T18:20:11Z",
                 "last_updated": "2026-04-12T18:20:11Z"}, **more)


class Market:
    """Beside harness.Case, with self.api an operator's client."""

    def stream(self, path, records, method="POST", **kw):
        """The answer to records as NDJSON; all must be good."""
        a = self.api.request(method, "/v1/market/" + path, lines(records), content_type=NDJSON, **kw)
        self.assertEqual((a.status, a.json), (200, {"accepted": len(records), "rejected": 0, "errors": []}), a)

    def put_items(self, *ids):
        self.stream("items", [item(i, *NAMES.get(i, ())) for i in ids or NAMES], "PUT")

    def asks(self, *records):
        self.stream("asks", records)

    def bids(self, *records):
        self.stream("bids", records)

    def fx(self, **rates):
        a = self.api.put("/v1/market/fx", {"timestamp": "2026-04-12T18:00:00Z", "rates": rates})
        self.assertEqual(a.status, 200, a)

    def item(self, id):
        a = self.api.get("/v1/market/items/%d" % id)
        self.assertEqual(a.status, 200, a)
        return a.json

    def best(self, id):
        v = self.item(id)
        return v["best_ask"], v["best_bid"]
