#!/usr/bin/env python3
"""Good and hostile requests bent at random, and a second, independent reader (hostile_judge.py) that says how many answers
must come: the server never sees a request more, or one less. A seed makes a run.

    63-hostile-bent.py --rounds N [--seed S]"""
import random
import sys

import harness
import hostile
import hostile_judge

ROUNDS, SEED = 6000, 1
PARTS = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\0", b":", b";", b"\x0b", b"\x7f", b"\xff", b"0", b"1", b"f", b"-", b"+", b",",
         b"Host: y\r\n", b"Content-Length: 1\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n",
         b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Upgrade: h2c\r\n", b"X: y\r\n", b"0\r\n\r\n", b"5\r\nabcde\r\n", b"HTTP/1.0", b"HTTP/1.1",
         b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"]


def bend(r, data):
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        at = r.randrange(len(data) + 1)
        upto = min(len(data), at + r.choice((1, 1, 2, 5, 20)))
        way = r.randrange(6)
        if way == 0:                                            # a byte becomes another
            data = data[:at] + bytes([r.randrange(256)]) + data[at + 1:]
        elif way == 1:                                          # a part is put in
            data = data[:at] + r.choice(PARTS) + data[at:]
        elif way == 2:                                          # some bytes go
            data = data[:at] + data[upto:]
        elif way == 3:                                          # some come twice
            data = data[:at] + data[at:upto] * 2 + data[upto:]
        elif way == 4:                                          # a part instead of some
            data = data[:at] + r.choice(PARTS) + data[upto:]
        else:                                                   # a line goes elsewhere
            lines = data.split(b"\r\n")
            lines.insert(r.randrange(len(lines)), lines.pop(r.randrange(len(lines))))
            data = b"\r\n".join(lines)
    return data


class Bent(harness.Case):
    def test_the_judge_knows_the_cases(self):
        """Of the cases written down, the judge says what the file says: one of the two would be wrong."""
        for number, case in hostile.cases(self.server.key):
            n, sure = hostile_judge.judge(case.data + case.follower)
            if sure and case.data:
                self.assertEqual(n, len(case.direct), case.name)

    def test_bent(self):
        r = random.Random(SEED)
        good = [case.data + case.follower for _, case in hostile.cases(self.server.key) if len(case.data) < 600 and not case.alone]
        sure_ones, wrong = 0, []
        for i in range(ROUNDS):
            data = bend(r, r.choice(good))
            n, sure = hostile_judge.judge(data)
            pieces = [data] if i % 3 else [data[:i % len(data)], data[i % len(data):]]
            got = hostile.exchange(hostile.connect(self.server.unix), pieces, half=True)
            seen = len(hostile.answers(got))
            sure_ones += sure
            if seen != n if sure else seen < n:
                wrong.append((i, data, hostile.verdict(got), n, sure))
        self.assertEqual(wrong[:3], [], "%d of %d, seed %d" % (len(wrong), ROUNDS, SEED))
        self.assertGreater(sure_ones, ROUNDS / 2)
        self.expect(self.api.get("/readyz"), 200)
        for a in self.api.get("/v1/events?limit=250").json["data"]:
            self.assertRegex(a["type"], r"^[A-Za-z0-9_.-]+$")


if __name__ == "__main__":
    for flag, name in (("--rounds", "ROUNDS"), ("--seed", "SEED")):
        if flag in sys.argv:
            at = sys.argv.index(flag)
            globals()[name] = int(sys.argv[at + 1])
            del sys.argv[at:at + 2]
    harness.main()
