#!/usr/bin/env python3
"""The hostile requests of hostile/*.txt, sent directly: in whole, byte by byte, and the short ones split at every place.
Each has its expected statuses, and what is in the store afterwards is exactly what the cases say.

    61-hostile.py --long        every case byte by byte over TCP too, and those of up to 400 bytes split at every place
    61-hostile.py --list        the cases with their verdicts"""
import collections
import json
import sys

import harness
import hostile


LONG = "--long" in sys.argv


class Hostile(harness.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cases = hostile.cases(cls.server.key)

    def setUp(self):
        self.tcp = ("127.0.0.1", self.server.port)

    def stored(self):
        """Type → how many events."""
        found, cursor = collections.Counter(), ""
        while cursor is not None:
            a = self.api.get("/v1/events?limit=250" + (cursor and "&cursor=" + cursor)).json
            found.update(e["type"] for e in a["data"])
            cursor = a["next_cursor"]
        return found

    def send_all(self, address, ways, cases=None):
        """ways(case): the sequences of pieces to send it in."""
        wrong, expected = [], self.stored()
        sent = 0
        for number, case in cases or self.cases:
            for pieces in ways(case):
                got = hostile.exchange(hostile.connect(address), pieces, half=case.alone)
                seen = hostile.verdict(got)
                sent += 1
                if seen != case.direct:
                    wrong.append("%s (%d pieces, first %d): %s instead of %s" %
                                 (case.name, len(pieces), len(pieces[0]) if pieces else 0, " ".join(seen), " ".join(case.direct)))
                elif seen != ("close",):
                    wrong += self.ill_mannered(case, got)
                expected.update(hostile.stored_by(seen, case.direct, number))
        stored = self.stored()
        self.assertEqual((wrong, stored - expected, expected - stored), ([], {}, {}))
        return sent

    def ill_mannered(self, case, got):
        """A refusal of the server's own is a problem and the last thing on its connection."""
        status, head, body = hostile.answers(got)[-1]
        if status >= 400 and (b"application/problem+json" not in head or json.loads(body)["status"] != status or
                              b"\r\nconnection: close" not in head.lower()):
            return ["%s: %r" % (case.name, got)]
        return []

    def test_enough_of_them(self):
        self.assertGreater(len(self.cases), 400)
        names = [c.name for _, c in self.cases]
        self.assertEqual(sorted(set(names)), sorted(names))

    def test_whole(self):
        for address in (self.tcp, self.server.unix):
            self.send_all(address, lambda case: [hostile.whole(case)])

    def test_byte_by_byte(self):
        self.send_all(self.server.unix, lambda case: [hostile.by_bytes(case)])
        few = self.cases if LONG else self.cases[::4]
        self.send_all(self.tcp, lambda case: [hostile.by_bytes(case)], few)

    def test_in_two_parts(self):
        short = [(n, case) for n, case in self.cases if len(case.data) <= (400 if LONG else 100)]
        self.assertGreater(self.send_all(self.server.unix, hostile.splits, short), 8000)


if __name__ == "__main__":
    if "--list" in sys.argv:
        for n, c in hostile.cases("KEY"):
            print("%4d  %-20s %s" % (n, " ".join(c.direct), c.name))
    else:
        sys.argv = [a for a in sys.argv if a != "--long"]
        harness.main()
