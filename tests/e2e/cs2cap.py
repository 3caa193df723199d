"""What the tests of dialect cs2cap share: clients, the shapes of its answers, its errors."""
import re

import harness
from harness import until

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
ANY = "0199d2c4-0000-7000-8000-000000000000"


def text(v):
    return isinstance(v, str)


def number(v):
    return isinstance(v, int) and not isinstance(v, bool)


def uuid(v):
    return text(v) and bool(UUID.match(v))


def time(v):
    return text(v) and bool(TIME.match(v))


def flag(v):
    return isinstance(v, bool)


def one_of(*choices):
    return lambda v: v in choices


def or_null(check):
    return lambda v: v is None or check(v)


PLATFORM = one_of("custom", "discord", "telegram", "google_sheets")
WEBHOOK = {
    "id": uuid, "label": text, "url": text, "platform": PLATFORM, "secret_last4": lambda v: text(v) and len(v) == 4, "is_active": flag,
    "last_success_at": or_null(time), "last_failure_at": or_null(time), "last_failure_message": or_null(text), "created_at": time,
    "updated_at": time,
}
DELIVERY = {
    "id": uuid, "event_id": uuid, "endpoint_id": uuid, "endpoint_label": text, "endpoint_url": text, "platform": PLATFORM,
    "event_type": one_of("alert.triggered"), "status": one_of("pending", "succeeded", "failed"), "attempt_count": number,
    "last_http_status": or_null(number), "error": or_null(text), "next_attempt_at": or_null(time), "created_at": time,
    "completed_at": or_null(time),
}
DETAIL = dict(DELIVERY, payload=lambda v: isinstance(v, dict), attempts=lambda v: isinstance(v, list))
ATTEMPT = {
    "attempt_number": number, "status": one_of("succeeded", "failed"), "http_status": or_null(number), "error": or_null(text),
    "response_body_excerpt": or_null(text), "created_at": time,
}
PAGINATION = {"limit": number, "offset": number, "total": number, "has_next": flag, "has_prev": flag, "next_cursor": one_of(None)}

ALERT = {
    "alert_id": "6a49b4bc-95c6-4c98-8d40-5e3fca7b15e4", "kind": "price_below", "item_id": 156,
    "market_hash_name": "AK-47 | Redline (Field-Tested)",
    "item": {"item_id": 156, "market_hash_name": "AK-47 | Redline (Field-Tested)", "phase": None},
    "threshold_value": "20.00", "threshold_currency": "USD", "triggered_value": "19.50", "triggered_currency": "USD",
    "best_ask": "19.50", "best_bid": "17.10", "observed_provider": "buff163", "observed_link": "https://example.com/ak?x=1&y=2",
    "reason": "Best ask 19.50 USD is at or below 20.00 USD",
}


class Case(harness.Case):
    """cs: a client of account default that speaks the dialect; api: the operator's native one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cs = cls.client()

    @classmethod
    def client(cls, scope="read,manage", account=None, dialect="cs2cap"):
        return harness.Client(cls.server, cls.server.make_key(scope, account, "--dialect", dialect))

    def account(self, id, **members):
        """A client of a new account."""
        a = self.api.post("/v1/accounts", dict({"id": id}, **members))
        self.assertEqual(a.status, 201, a)
        return self.client(account=id)

    def shaped(self, value, shape):
        """Exactly these members, each of its type; returns the value."""
        self.assertEqual(sorted(value), sorted(shape))
        for name, check in shape.items():
            self.assertTrue(check(value[name]), "%s is %r" % (name, value[name]))
        return value

    def created(self, url=None, client=None, **members):
        """A new webhook and its secret."""
        body = dict({"label": "Production alerts", "url": url or self.url("ok")}, **members)
        a = (client or self.cs).post("/account/webhooks", body)
        self.assertEqual(a.status, 201, a)
        self.assertEqual(sorted(a.json), ["secret", "webhook"])
        return self.shaped(a.json["webhook"], WEBHOOK), a.json["secret"]

    def webhook(self, id, client=None):
        found = [w for w in (client or self.cs).get("/account/webhooks").json["webhooks"] if w["id"] == id]
        return found[0] if found else None

    def alert(self, account=None, **members):
        """An event as the alert engine makes it; its id."""
        headers = {"Hookline-Account": account} if account else {}
        a = self.api.post("/v1/events", {"type": "alert.triggered", "data": dict(ALERT, **members)}, headers=headers)
        self.assertEqual(a.status, 202, a)
        return a.json["id"]

    def deliveries(self, client=None, query="limit=100"):
        a = (client or self.cs).get("/account/webhooks/deliveries?" + query)
        self.assertEqual(a.status, 200, a)
        self.assertEqual(sorted(a.json), ["deliveries", "pagination"])
        self.shaped(a.json["pagination"], PAGINATION)
        for d in a.json["deliveries"]:
            self.shaped(d, DELIVERY)
        return a.json["deliveries"]

    def of(self, webhook, client=None):
        return [d for d in self.deliveries(client) if d["endpoint_id"] == webhook["id"]]

    def first(self, webhook, test=lambda d: True, client=None):
        """The webhook's newest delivery once it is as wanted."""
        return until(lambda: [d for d in self.of(webhook, client)[:1] if test(d)], "the delivery")[0]

    def detail(self, id, client=None):
        a = (client or self.cs).get("/account/webhooks/deliveries/" + id)
        self.assertEqual(a.status, 200, a)
        d = self.shaped(a.json, DETAIL)
        for i, at in enumerate(d["attempts"]):
            self.shaped(at, ATTEMPT)
            self.assertEqual(at["attempt_number"], i + 1)
        return d

    def refused(self, answer, status, code, detail=None):
        """An error in the dialect's shape; detail: a part of the text, or the loc of a 422."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json", answer)
        self.assertEqual(sorted(answer.json), ["code", "detail"], answer)
        self.assertEqual(answer.json["code"], code, answer)
        if status == 422:
            self.assertEqual(code, "VALIDATION_ERROR")
            self.assertEqual(len(answer.json["detail"]), 1)
            why = answer.json["detail"][0]
            self.assertEqual(sorted(why), ["loc", "msg", "type"], answer)
            self.assertTrue(why["type"] and why["msg"], answer)
            if detail:
                self.assertEqual(why["loc"], detail, answer)
        else:
            self.assertTrue(text(answer.json["detail"]) and answer.json["detail"], answer)
            if detail:
                self.assertIn(detail, answer.json["detail"])
        return answer
