"""A second, slow, independent reader of HTTP/1.x requests, as strict as this server means to be: what RFC 9112 allows and
the rules of its own. It looks at the whole input at once and knows nothing of how the server reads.

    judge(data) → (answers, sure)      how many requests are answered, the refusal of the last one included; sure: False where
                                       the rules leave the server a choice (an input that ends too early, chunk extensions)"""
import re

METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
START = re.compile(rb"([A-Z]+) (/[!\"$-~]*) HTTP/1\.([01])")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t -~\x80-\xff]*)")
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,}\]|[0-9A-Za-z\-._~!$&'()*+,;=%]+)(:(\d*))?")
BODY_MAX = 1 << 20
HEAD_MAX, TARGET_MAX, FIELDS_MAX, TRAILERS_MAX = 16384, 8192, 64, 8192 - 3


class Refused(Exception):
    pass


class Unsure(Exception):
    pass


def need(condition):
    if not condition:
        raise Refused


def lines_until_empty(data, at):
    """[line] and where the empty line ends; each ended by CR LF, with neither of them inside."""
    lines = []
    while True:
        end = data.find(b"\r\n", at)
        rest = data[at:] if end < 0 else data[at:end]
        need(b"\n" not in rest and b"\r" not in (rest[:-1] if end < 0 else rest))
        if end < 0:
            raise Unsure
        at = end + 2
        if not rest:
            return lines, at
        lines.append(rest)


def fields_of(lines):
    found = []
    for line in lines:
        m = FIELD.fullmatch(line)
        need(m)
        found.append((m[1].lower(), m[2].strip(b" \t"), m[2]))
    return found


def values(fields, name):
    return [v for n, v, _ in fields if n == name]


def head_at(data, at):
    """Method, minor version, fields, where the head ends."""
    blank = 0
    while data[at:at + 2] == b"\r\n":
        at, blank = at + 2, blank + 1
    need(blank <= 4)
    lines, end = lines_until_empty(data, at)
    need(lines)
    start = START.fullmatch(lines[0])
    need(start and start[1] in METHODS and len(start[2]) <= TARGET_MAX and end - at <= HEAD_MAX)
    fields = fields_of(lines[1:])
    need(len(fields) <= FIELDS_MAX)
    return start[1], int(start[3]), fields, end


def framing(minor, fields):
    """"chunked", a length, or None."""
    hosts, codings, lengths = (values(fields, n) for n in (b"host", b"transfer-encoding", b"content-length"))
    need(len(hosts) == 1 or (not hosts and minor == 0))
    for h in hosts:
        m = HOST.fullmatch(h)
        need(m and int(m[3] or 0) <= 65535)
    need(not values(fields, b"upgrade"))
    expected = [v.lower() for v in values(fields, b"expect") if v]
    need(minor == 0 or not expected or expected == [b"100-continue"])
    if codings:
        need(minor == 1 and [c.lower() for c in codings] == [b"chunked"] and not lengths)
        if next(raw for n, _, raw in fields if n == b"transfer-encoding").endswith(b"\t"):
            raise Unsure          # a tab behind it may be refused
        return "chunked"
    if not lengths:
        return None
    need(len(lengths) == 1 and re.fullmatch(rb"[0-9]+", lengths[0]) and int(lengths[0]) < 1 << 64)
    if next(raw for n, _, raw in fields if n == b"content-length").endswith(b"\t"):
        raise Unsure
    return int(lengths[0])


def chunks_end(data, at):
    total = 0
    while True:
        m = re.compile(rb"[0-9A-Fa-f]*").match(data, at)
        if m.end() == len(data):
            raise Unsure
        need(m[0] and int(m[0], 16) < 1 << 64)
        at = m.end()
        if data[at:at + 1] == b";" or len(m[0]) > 16:
            raise Unsure
        need(data[at:at + 2] in (b"\r\n", b"\r", b""))
        if len(data) < at + 2:
            raise Unsure
        size, at = int(m[0], 16), at + 2
        total += size
        if size == 0:
            lines, end = lines_until_empty(data, at)
            trailers = fields_of(lines)
            need(end - at <= TRAILERS_MAX)
            need(not any(values(trailers, n) for n in (b"transfer-encoding", b"content-length", b"host")))
            return end
        if len(data) < at + size + 2:
            need(data[at + size:at + size + 2] in (b"", b"\r"))
            raise Unsure
        need(total <= BODY_MAX and data[at + size:at + size + 2] == b"\r\n")
        at += size + 2


def judge(data):
    answers, at = 0, 0
    try:
        while at < len(data):
            method, minor, fields, at = head_at(data, at)
            length = framing(minor, fields)
            if values(fields, b"expect") and minor == 1:
                raise Unsure          # an answer before the body ends the connection
            if length == "chunked":
                at = chunks_end(data, at)
            elif length:
                need(length <= BODY_MAX)
                at += length
                if at > len(data):
                    raise Unsure
            answers += 1
            said = [t.strip(b" \t").lower() for v in values(fields, b"connection") for t in v.split(b",")]
            if b"close" in said or (minor == 0 and b"keep-alive" not in said):
                break
        return answers, True
    except Refused:
        return answers + 1, True
    except Unsure:
        return answers, False
