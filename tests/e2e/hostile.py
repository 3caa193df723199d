"""Reading hostile/*.txt, sending what is in it, and judging what comes back.

A file holds cases:

    == name                     blocks are parted by lines of this form; # begins a comment line
    direct 400                  final statuses in order that must come from Hookline itself; `close`: the end, no answer
    nginx 400                   the same through nginx (docs/nginx.conf, Debian 12's nginx), where it says more than `safe`,
                                which holds without it: no, one or two answers, and nothing hidden was stored
    alone                       nothing follows the case, and our side is closed after it
    try VALUE                   one case per such line, with VALUE for each @ of the bytes; a verdict of its own may stand in
    try(direct 202; nginx 202) VALUE                             parentheses
    |POST /v1/events HTTP/1.1   bytes: this line and CRLF; with a backslash at its end, without CRLF

In bytes and values: \\r \\n \\t \\0 \\\\ \\xHH, and

    <FIELDS>     Host, Authorization and Content-Type: what a publisher sends
    <AUTH>       Authorization and Content-Type only
    <EVENT>      an event, type `outer`;  <LEN> its length, <HEX> the same in hex;  <CHUNKED> it in chunks, with the end
    <SMUGGLED>   a whole request that publishes an event `smuggled`;  <SLEN> and <SHEX> its length
    <TEXT*N>     TEXT N times

Unless a case is `alone`, a good request that publishes the event `next` and ends the connection follows it: whether that
one is answered is part of the verdict. A 202 in the first place stores the event of the case, one in the second place the
one that follows (`202:smuggled` says otherwise), and nothing else ever stores anything. The types carry the number of
the case, so what is stored tells who did it."""
import collections
import fcntl
import glob
import os
import re
import select
import socket
import struct
import termios

HERE = os.path.dirname(os.path.abspath(__file__))
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
FIELDS = "Host: x\r\n<AUTH>"
AUTH = "Authorization: Bearer %s\r\nContent-Type: application/json"
SAFE = "safe"

Case = collections.namedtuple("Case", "name data follower direct nginx alone")


def unescape(text):
    return re.sub(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])", lambda m: chr(int(m[1][1:], 16)) if m[1][0] == "x" else ESCAPES[m[1]], text)


def event(kind, number):
    return '{"type":"%s.%04d","data":1}' % (kind, number)


def publish(kind, number, key, *fields):
    body = event(kind, number)
    lines = ("POST /v1/events HTTP/1.1", "Host: x", AUTH % key) + fields + ("Content-Length: %d" % len(body), "", body)
    return "\r\n".join(lines)


def expand(text, number, key):
    outer, smuggled = event("outer", number), publish("smuggled", number, key)
    chunked = "%x\r\n%s\r\n0\r\n\r\n" % (len(outer), outer)
    text = re.sub(r"<([^<>]{1,60})\*(\d+)>", lambda m: m[1] * int(m[2]), text)
    for name, value in (("FIELDS", FIELDS), ("AUTH", AUTH % key), ("EVENT", outer), ("LEN", str(len(outer))), ("HEX", "%x" % len(outer)),
                        ("CHUNKED", chunked), ("SMUGGLED", smuggled), ("SLEN", str(len(smuggled))), ("SHEX", "%x" % len(smuggled))):
        text = text.replace("<%s>" % name, value)
    return text.encode("latin-1")


def verdicts(line):
    """What `direct …` and `nginx …` say."""
    word, _, rest = line.strip().partition(" ")
    if word not in ("direct", "nginx"):
        raise ValueError("not understood: " + line)
    return word, tuple(rest.split())


def blocks(path):
    with open(path, encoding="utf-8") as f:
        block = None
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("== "):
                if block:
                    yield block
                block = (line[3:], [])
            elif line and not line.startswith("#"):
                if block is None:
                    raise ValueError("%s:%d: bytes before the first name" % (path, number))
                block[1].append(line)
        if block:
            yield block


def cases_of(path, key, number):
    for name, lines in blocks(path):
        said, values, alone, text = {"nginx": None}, [], False, ""
        for line in lines:
            if line.startswith("|"):
                text += line[1:-1] if line.endswith("\\") and not line.endswith("\\\\") else line[1:] + "\\r\\n"
            elif line == "alone":
                alone = True
            elif line.startswith("try"):
                m = re.fullmatch(r"try(?:\(([^)]*)\))? ?(.*)", line)
                values.append((m[2], dict(verdicts(v) for v in m[1].split(";")) if m[1] else {}))
            else:
                word, verdict = verdicts(line)
                said[word] = verdict
        for value, own in values or [("", {})]:
            v = dict(said, **own)
            data = expand(unescape(text.replace("@", value)), number, key)
            follower = b"" if alone else publish("next", number, key, "Connection: close").encode()
            if "direct" not in v:
                raise ValueError("%s: %s: no verdict" % (path, name))
            yield Case(name.replace("@", value[:60]), data, follower, v["direct"], v["nginx"] or (SAFE,), alone)
            number += 1


def cases(key):
    """[(number, Case)] of all files."""
    found = []
    for path in sorted(glob.glob(os.path.join(HERE, "hostile", "*.txt"))):
        found += list(cases_of(path, key, len(found)))
    return list(enumerate(found))


# ---- sending ----

def connect(address, timeout=20):
    s = socket.socket(socket.AF_UNIX) if isinstance(address, str) else socket.socket()
    s.settimeout(timeout)
    s.connect(address)
    if not isinstance(address, str):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def consumed(s):
    """Until the other side has read everything. On a unix socket the kernel counts what it has not; on TCP, what it has
    not acknowledged. A side that answered may have stopped reading: then that is that."""
    while struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, b"\0\0\0\0"))[0]:
        if select.select([s], [], [], 0.0002)[0]:
            return


def exchange(s, pieces, half=False):
    """Sends the pieces one by one, each when the one before was read; everything that comes until the other side closes."""
    got = b""
    try:
        for i, piece in enumerate(pieces):
            if i and s.family == socket.AF_UNIX:
                consumed(s)
            s.sendall(piece)
        if half:
            s.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass
    try:
        for piece in iter(lambda: s.recv(65536), b""):
            got += piece
    except ConnectionResetError:
        pass
    finally:
        s.close()
    return got


def whole(case):
    return [case.data + case.follower]


def by_bytes(case):
    """One by one; a flood in pieces."""
    size = 1 if len(case.data) < 2500 else 997
    return [case.data[i:i + size] for i in range(0, len(case.data), size)] + [case.follower]


def splits(case):
    """In two parts, at every place."""
    for i in range(1, len(case.data)):
        yield [case.data[:i], case.data[i:] + case.follower]


# ---- judging ----

def answers(got):
    """[(status, head, body)] of the final answers in these bytes; an answer that is cut short counts as 0."""
    found = []
    while got:
        head, end, got = got.partition(b"\r\n\r\n")
        m = re.match(rb"HTTP/1\.[01] (\d{3}) ", head)
        if not m or not end:
            return found + [(0, head, got)]
        status = int(m[1])
        if status < 200:
            continue
        length = re.search(rb"\r\nContent-Length: *(\d+)", head, re.I)
        body = b""
        if re.search(rb"\r\nTransfer-Encoding: *chunked", head, re.I):
            body, got = dechunk(got)
        elif length and not got.startswith(b"HTTP/1."):     # an answer to HEAD has none
            body, got = got[:int(length[1])], got[int(length[1]):]
            if len(body) < int(length[1]) and body:
                status = 0
        found.append((status, head, body))
    return found


def dechunk(got):
    body = b""
    while True:
        size, _, got = got.partition(b"\r\n")
        n = int(size or b"0", 16)
        if n == 0:
            return body, got[2:]
        body, got = body + got[:n], got[n + 2:]


def verdict(got):
    return tuple(str(a[0]) for a in answers(got)) or ("close",)


def matches(seen, wanted):
    if wanted == (SAFE,):
        return len(seen) <= 2
    return seen == tuple(w.partition(":")[0] for w in wanted)


def stored_by(seen, wanted, number):
    """The types of the events behind these statuses."""
    kinds = [w.partition(":")[2] for w in wanted]
    places = [k or p for k, p in zip(kinds + [""] * len(seen), ("outer", "next", "next"))]
    return ["%s.%04d" % (kind, number) for status, kind in zip(seen, places) if status == "202"]
