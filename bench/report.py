"""Rows to the screen, to bench/results.json and to the table of docs/performance.md."""
import dataclasses, datetime, json

import rig

RESULTS = rig.HERE / "results.json"
DOCS = rig.ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


@dataclasses.dataclass
class Row:
    """One line of the table. `least`/`most`: what must be reached; `goal`: what the design aims at. They are judged by
    the ratio to the yardstick when there is one, else by the value itself."""
    scenario: str
    what: str
    value: float
    unit: str
    yardstick: str = ""
    yardstick_value: float | None = None
    ratio: float | None = None
    least: float | None = None
    most: float | None = None
    goal: float | None = None
    detail: dict = dataclasses.field(default_factory=dict)

    def must(self):
        return self.least if self.least is not None else self.most

    def reached(self, bound):
        judged = self.ratio if self.ratio is not None else self.value
        return judged <= bound if self.most is not None else judged >= bound

    def verdict(self):
        if self.goal is not None and self.reached(self.goal):
            return "goal"
        if self.must() is not None:
            return "reached" if self.reached(self.must()) else "missed"
        return "below goal" if self.goal is not None else ""


def number(v):
    if v is None:
        return ""
    size = abs(v)
    return f"{v:,.0f}" if size >= 1000 else f"{v:.1f}" if size >= 100 else f"{v:.2f}" if size >= 1 else f"{v:.3f}"


def bound(row, v):
    return "" if v is None else ("≤ " if row.most is not None else "≥ ") + f"{v:g}"


def table(rows):
    head = ("scenario", "what", "Hookline", "beside it", "", "ratio", "must", "goal", "")
    lines = ["| " + " | ".join(head) + " |", "|---|---|--:|---|--:|--:|---|---|---|"]
    for r in rows:
        verdict = r.verdict()
        cells = (r.scenario, r.what, f"{number(r.value)} {r.unit}", r.yardstick, number(r.yardstick_value),
                 number(r.ratio), bound(r, r.must()), bound(r, r.goal),
                 f"**{verdict}**" if verdict in ("missed", "below goal") else verdict)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def brief(row):
    beside = f"  {number(row.ratio)} x {row.yardstick} ({number(row.yardstick_value)})" if row.ratio is not None else ""
    wanted = [f"{name} {bound(row, v)}" for name, v in (("must", row.must()), ("goal", row.goal)) if v is not None]
    return (f"  {row.what}: {number(row.value)} {row.unit}{beside}" +
            (f"  [{', '.join(wanted)}: {row.verdict()}]" if wanted else ""))


def write(done, order):
    """Puts the scenarios just run beside those of earlier runs on the same machine, and writes file and table."""
    old = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    machine = rig.machine()
    same = old.get("cpu") == machine["cpu"] and old.get("cores") == machine["cores"]
    scenarios = (old.get("scenarios", {}) if same else {}) | done
    record = {**machine, "fdatasync_4k_us": rig.fsync_us(),
              "scenarios": {name: scenarios[name] for name in order if name in scenarios}}
    RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    text = DOCS.read_text()
    if BEGIN in text:
        DOCS.write_text(text[:text.index(BEGIN)] + prose(record) + text[text.index(END) + len(END):])


def prose(record):
    v, all_of = record["versions"], record["scenarios"]
    rows = [Row(**r) for s in all_of.values() for r in s["rows"]]
    days = sorted({s["when"][:10] for s in all_of.values()})
    busy = max((s["others_busy"] for s in all_of.values()), default=0)
    failed = "".join(f"\nNot measured: {n}: {s['failure']}\n" for n, s in all_of.items() if s["failure"])
    short = ", ".join(n for n, s in all_of.items() if s["quick"])
    return f"""{BEGIN}
{' – '.join(dict.fromkeys((days[0], days[-1])))}, {record['cores']} cores ({record['cpu']}), Linux {record['kernel']},
{record['filesystem']}, fdatasync of 4 KiB {record['fdatasync_4k_us']} µs; {v['nginx']}, wrk {v['wrk']},
{v['redis'].split(' sha')[0]}, Node {v['node']}, BullMQ {v['bullmq']}. Load, server and receiver share those cores. Ratios
are medians of laps, each set against the yardstick's laps before and after it. Other programs used at most {busy:.0%} of
the processors around a scenario.{' Short runs: ' + short + '.' if short else ''}

{table(rows)}
{failed}{END}"""


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
