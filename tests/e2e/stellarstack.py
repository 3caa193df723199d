"""What the tests of dialect stellarstack share: its words, and a test case with a tenant of its own."""
import socket

import harness

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
NOBODY = "0199d2c4-0000-7000-8000-000000000000"
MOUNTS = ("/stellarstack/webhooks", "/api/webhooks", "/webhooks")
CATALOGUE = {
    "server": ["started", "stopped", "crashed", "restarted", "auto_shutdown", "created", "deleted", "updated", "suspended",
               "unsuspended"],
    "backup": ["created", "failed", "restored", "deleted"],
    "transfer": ["started", "completed", "failed"],
    "file": ["created", "deleted", "modified"],
    "resource": ["warning", "critical"],
}
EVENTS = ["%s.%s" % (c, e) for c, v in CATALOGUE.items() for e in v]
WEBHOOK = {"id", "userId", "url", "events", "serverId", "enabled", "provider", "server", "createdAt", "updatedAt"}
DELIVERY = {"id", "webhookId", "event", "payload", "statusCode", "response", "attempts", "deliveredAt", "createdAt"}
SHORT = ["id", "event", "statusCode", "attempts", "deliveredAt", "createdAt"]


class Case(harness.Case):
    """self.stella and self.native speak for one account of the test's own."""
    def setUp(self):
        Case.n_accounts = getattr(Case, "n_accounts", 0) + 1
        self.account = "st-%d" % Case.n_accounts
        self.stella, self.native = self.tenant(self.account)

    def tenant(self, account):
        if self.api.post("/v1/accounts", {"id": account}).status != 201:
            raise AssertionError(account)
        native = self.server.client()
        native.headers["Hookline-Account"] = account
        return self.client("stellarstack", account), native

    def client(self, dialect, account, scope="manage,read"):
        return self.server.client(key=self.server.make_key(scope, account, "--dialect", dialect))

    def hook(self, url, events=("server.started",), **more):
        return self.want(self.stella.post("/webhooks", dict({"url": url, "events": list(events)}, **more)), 201).json

    def game(self, name="Alpha", status="running", native=None):
        return self.want((native or self.native).post("/v1/servers", {"name": name, "status": status}), 201).json["id"]

    def want(self, answer, status, body=None):
        self.assertEqual(answer.status, status, answer)
        self.assertTrue(answer.headers["content-type"].startswith("application/json"), answer.headers)
        if body is not None:
            self.assertEqual(answer.json, body)
        return answer

    def history(self, w, query=""):
        return self.want(self.stella.get("/webhooks/%s/deliveries%s" % (w["id"], query)), 200).json

    def delivery(self, w, id):
        return self.want(self.stella.get("/webhooks/%s/deliveries/%s" % (w["id"], id)), 200).json

    def settled(self, w, n=1):
        """The n newest deliveries, when each has an attempt behind it."""
        def enough():
            v = self.history(w)["deliveries"]
            return v[:n] if len(v) >= n and all(d["attempts"] for d in v[:n]) else None
        return harness.until(enough, "%d attempted deliveries" % n)

    def sent(self, w, behaviour_url=None):
        self.native.publish("server.started", {})
        return self.settled(w)[0]

    def retry(self, w, id, client=None):
        return (client or self.stella).post("/webhooks/%s/deliveries/%s/retry" % (w["id"], id))

    @staticmethod
    def dead_port():
        """An address that refuses: bound and not listening for as long as the socket lives."""
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        return s, "http://127.0.0.1:%d/hook" % s.getsockname()[1]
