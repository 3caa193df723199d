"""Rows to the screen, to bench/results.json and to the table of docs/performance.md."""
import dataclasses, datetime, json

import rig

RESULTS = rig.HERE / "results.json"
DOCS = rig.ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def number(v):
    if v is None:
        return ""
    size = abs(v)
    return f"{v:,.0f}" if size >= 1000 else f"{v:.1f}" if size >= 100 else f"{v:.2f}" if size >= 1 else f"{v:.3f}"


def bound(row, v):
    return "" if v is None else ("≤ " if row.most is not None else "≥ ") + f"{v:g}"


def verdict(row):
    must = row.least if row.least is not None else row.most
    if must is None and row.goal is None:
        return ""
    if row.reached(row.goal if row.goal is not None else must):
        return "goal" if row.goal is not None else "reached"
    if must is None:
        return "**below goal**"
    return "reached" if row.reached(must) else "**missed**"


def table(rows):
    head = ("scenario", "what", "Hookline", "beside it", "", "ratio", "must", "goal", "")
    lines = ["| " + " | ".join(head) + " |", "|---|---|--:|---|--:|--:|---|---|---|"]
    for r in rows:
        must = r.least if r.least is not None else r.most
        cells = (r.scenario, r.what, f"{number(r.value)} {r.unit}", r.yardstick, number(r.yardstick_value),
                 number(r.ratio), bound(r, must), bound(r, r.goal), verdict(r))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def brief(row):
    beside = f"  {number(row.ratio)} x {row.yardstick} ({number(row.yardstick_value)})" if row.ratio is not None else ""
    must = row.least if row.least is not None else row.most
    wanted = ", ".join(x for x in (f"must {bound(row, must)}" if must is not None else "",
                                   f"goal {bound(row, row.goal)}" if row.goal is not None else "") if x)
    state = verdict(row).strip("*").upper() if "*" in verdict(row) else verdict(row)
    return f"  {row.what}: {number(row.value)} {row.unit}{beside}" + (f"  [{wanted}: {state}]" if wanted else "")


def write(rows, failures, busy, quick, fsync_us, took_s):
    record = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "quick": quick,
        "seconds": round(took_s), "fdatasync_4k_us": fsync_us, **rig.machine(), "others_busy": busy,
        "failures": failures,
        "rows": [{**dataclasses.asdict(r), "verdict": verdict(r).strip("*")} for r in rows],
    }
    RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    if not DOCS.exists() or BEGIN not in DOCS.read_text():
        return
    v = record["versions"]
    text = f"""{BEGIN}
Run of {record['when'][:10]}{' (quick)' if quick else ''}, {record['seconds']} s, on {record['cores']} cores
({record['cpu']}), Linux {record['kernel']}, {record['filesystem']}, fdatasync of 4 KiB {fsync_us} µs;
{v['nginx']}, wrk {v['wrk']}, {v['redis'].split(' sha')[0]}, Node {v['node']}, BullMQ {v['bullmq']}.
Load, server and receiver share those cores. Ratios are medians of laps, each set against the yardstick's laps before
and after it. Share of the processors used by others when a scenario began: at most {max(busy.values(), default=0):.0%}.

{table(rows)}
{''.join(chr(10) + f'Not measured: {name}: {why}' for name, why in failures.items())}
{END}"""
    old = DOCS.read_text()
    DOCS.write_text(old[:old.index(BEGIN)] + text + old[old.index(END) + len(END):])
