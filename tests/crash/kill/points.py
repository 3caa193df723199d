"""The crash points, read from the one list of them."""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
HEADER = os.path.join(HERE, "..", "..", "..", "src", "base", "crash.h")


def read():
    """[(name, scene)], in the order of the header."""
    with open(HEADER, encoding="utf-8") as f:
        rows = re.findall(r'^\tX\([A-Z_0-9]+,\s*"([a-z_.]+)",\s*([a-z]+),', f.read(), re.M)
    if len(rows) < 40:
        raise AssertionError("%s is not read right: %d rows" % (HEADER, len(rows)))
    return rows


# What makes a point come sooner: an action of churn.Churn
FAVOURITES = {
    "replay.applied": "replay", "resume.applied": "pause", "rotate.applied": "rotate", "delete.applied": "doom", "webhook.durable": "pause",
    "change.durable": "small_change", "job.half": "doom", "job.slice": "doom", "job.durable": "doom", "disable.applied": "gone",
}
# Later passes than the first, at most: for points passed thousands of times a second
PASSES = {"start": 3, "load": 400}
RARE = {"disable.applied", "job.half", "job.slice", "job.durable", "index.begun", "index.half", "index.slice", "checkpoint.rows",
        "checkpoint.slice", "checkpoint.drop", "delete.applied", "rotate.applied", "resume.applied", "replay.applied", "webhook.durable",
        "change.durable", "write.partial", "refill.done", "tick.applied", "tick.durable", "alert.riding", "alert.fired", "batch.result",
        "start.alerts", "attempt.connected", "outcome.requeued"}
