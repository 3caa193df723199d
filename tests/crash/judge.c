/* What a directory must hold. The expectations are lines of text, columns parted by tabs:
 *
 *   V kind name value       the next value asked for, of a thing
 *   A op kind name n        from op on at least the n-th value (from 0) was acknowledged
 *
 * A thing may hold its newest acknowledged value or any asked for after it; nothing nobody asked for. Before anything was
 * acknowledged of it, it may be missing. "(gone)" is the value of a thing that was deleted. */
#include "power.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "store/accounts.h"
#include "store/alerts.h"
#include "store/audit.h"
#include "store/deliveries.h"
#include "store/events.h"
#include "store/market.h"
#include "store/webhooks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_CAP = 300 };

struct thing {
	char key[KEY_CAP];            /* kind, tab, name */
	char **values;
	int n_values;
	struct { uint64_t at; int n; } *acks; /* by op */
	int n_acks;
	int found;                    /* in the state at hand: index of its value, -1 = missing */
};

static struct thing *things;
static size_t n_things, cap_things;
static struct hl_map_str by_key;

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "power: %s %s\n", what, detail);
	exit(2);
}

static struct thing *thing_of(const char *kind, const char *name)
{
	char key[KEY_CAP];
	int len = snprintf(key, sizeof(key), "%s\t%s", kind, name);
	struct thing *t = hl_map_str_get(&by_key, hl_str_make(key, (size_t)len));
	if (t)
		return t;
	if (n_things == cap_things)
		die("too many things", key);
	t = &things[n_things++];
	memcpy(t->key, key, sizeof(key));
	if (hl_map_str_put(&by_key, hl_str_make(t->key, (size_t)len), t))
		die("out of memory", "");
	return t;
}

static void read_line(char *line)
{
	char *column[5] = { line, "", "", "", "" };
	int n = 1;
	for (char *p = line; *p && n < 5; p++)
		if (*p == '\t') {
			*p = '\0';
			column[n++] = p + 1;
		}
	if (n == 4 && column[0][0] == 'V') {
		struct thing *t = thing_of(column[1], column[2]);
		t->values = realloc(t->values, (size_t)(t->n_values + 1) * sizeof(*t->values));
		t->values[t->n_values++] = strdup(column[3]);
	} else if (n == 5 && column[0][0] == 'A') {
		struct thing *t = thing_of(column[2], column[3]);
		t->acks = realloc(t->acks, (size_t)(t->n_acks + 1) * sizeof(*t->acks));
		t->acks[t->n_acks].at = strtoull(column[1], NULL, 10);
		t->acks[t->n_acks++].n = (int)strtol(column[4], NULL, 10);
	} else {
		die("no expectation:", line);
	}
}

void judge_load(const char *expectations)
{
	char *line = NULL;
	size_t cap = 0, lines = 0;
	FILE *f = fopen(expectations, "r");
	if (!f)
		die("cannot read", expectations);
	while (getline(&line, &cap, f) > 0)
		lines++;
	rewind(f);
	cap_things = lines + 1;
	things = calloc(cap_things, sizeof(*things));
	hl_map_str_init(&by_key);
	for (ssize_t n; (n = getline(&line, &cap, f)) > 0;) {
		line[n - 1] = '\0';
		read_line(line);
	}
	free(line);
	fclose(f);
}

static int acknowledged(const struct thing *t, uint64_t at)
{
	int n = -1;
	for (int i = 0; i < t->n_acks && t->acks[i].at < at; i++)
		n = t->acks[i].n;
	return n;
}

uint64_t judge_acknowledged(uint64_t at)
{
	uint64_t n = 0;
	for (size_t i = 0; i < n_things; i++)
		for (int k = 0; k < things[i].n_acks; k++)
			n += things[i].acks[k].at < at;
	return n;
}

/* ---- what is there ------------------------------------------------------------------------------------------------ */

struct look {
	struct hl_store *store;
	struct hl_buf plain;
	enum verdict verdict;
	char *why;
	size_t why_cap;
};

static void complain(struct look *k, enum verdict v, const char *what, const char *detail)
{
	if (k->verdict == GOOD)
		snprintf(k->why, k->why_cap, "%s %s", what, detail);
	k->verdict = k->verdict == GOOD ? v : k->verdict;
}

static void found(struct look *k, const char *kind, struct hl_str name, struct hl_str value)
{
	char key[KEY_CAP];
	int len = snprintf(key, sizeof(key), "%s\t%.*s", kind, (int)name.len, name.ptr);
	struct thing *t = hl_map_str_get(&by_key, hl_str_make(key, (size_t)len));
	if (!t)
		return; /* not of the test's making: the first account, the catalogue */
	for (int i = t->n_values; i-- > 0;)
		if (hl_str_eq(value, hl_str_from(t->values[i]))) {
			t->found = t->found > i ? t->found : i;
			return;
		}
	complain(k, ODD, "nobody asked for this value of", key);
}

static void look_at_events(struct look *k, struct hl_txn *txn)
{
	struct hl_cursor c;
	struct hl_event_row e;
	hl_cursor_open(&c, txn, HL_TABLE_EVENT);
	for (bool ok = hl_cursor_first(&c); ok; ok = hl_cursor_next(&c)) {
		if (hl_event_row_decode(c.value, &e))
			complain(k, DAMAGED, "an event row", "");
		else
			found(k, "event", e.external_id, e.data);
	}
	hl_cursor_close(&c);
}

static bool webhook(void *data, const struct hl_webhook_row *row)
{
	struct look *k = data;
	bool gone = row->w.state == HL_WEBHOOK_DELETED;
	found(k, "webhook", row->w.name, gone ? HL_STR("(gone)") : row->w.description);
	hl_buf_reset(&k->plain);
	if (gone)
		found(k, "secret", row->w.name, HL_STR("(gone)"));
	else if (hl_store_unseal(k->store, HL_SEAL_SECRET, row->w.number, row->secret, &k->plain))
		complain(k, DAMAGED, "a secret does not open", "");
	else
		found(k, "secret", row->w.name, hl_buf_all(&k->plain));
	return true;
}

static bool key(void *data, const struct hl_key_row *row)
{
	found(data, "key", row->name, row->revoked_at_ms ? HL_STR("revoked") : HL_STR("active"));
	return true;
}

static void look_at_alerts(struct look *k, struct hl_txn *txn)
{
	char name[24], value[24];
	struct hl_cursor c;
	struct hl_alert_row a;
	hl_cursor_open(&c, txn, HL_TABLE_ALERT);
	for (bool ok = hl_cursor_first(&c); ok; ok = hl_cursor_next(&c)) {
		if (hl_alert_row_decode(c.value, &a)) {
			complain(k, DAMAGED, "an alert row", "");
			continue;
		}
		snprintf(name, sizeof(name), "%" PRIu64, a.item);
		snprintf(value, sizeof(value), "%" PRId64, a.threshold / HL_ALERT_THRESHOLD_SCALE);
		found(k, "alert", hl_str_from(name), hl_str_from(value));
	}
	hl_cursor_close(&c);
}

static void block(struct look *k, struct hl_str bytes)
{
	char name[64], value[24];
	struct hl_block_reader r;
	struct hl_market_quote q;
	bool bid;
	hl_block_read(&r, bytes);
	while (hl_block_next(&r, &q, &bid)) {
		snprintf(name, sizeof(name), "%" PRIu64, q.item_id);
		snprintf(value, sizeof(value), "%" PRId64, q.cents);
		found(k, bid ? "bid" : "ask", hl_str_from(name), hl_str_from(value));
	}
	if (hl_block_end(&r))
		complain(k, DAMAGED, "a block of quotes", "");
}

static bool quotes(void *data, uint64_t number, struct hl_str bytes)
{
	(void)number;
	block(data, bytes);
	return true;
}

static void on_damage(void *data, enum hl_audit_severity severity, const char *text)
{
	if (severity == HL_AUDIT_DAMAGE)
		complain(data, DAMAGED, "audit:", text);
}

static void look_at_all(struct look *k)
{
	struct hl_audit_options o = { .report = on_damage, .data = k };
	struct hl_audit_summary sum;
	struct hl_err err = { 0 };
	for (size_t i = 0; i < n_things; i++)
		things[i].found = -1;
	if (hl_audit(k->store, &o, &sum, &err))
		complain(k, DAMAGED, "audit:", err.text);
	struct hl_txn *txn = hl_store_read(k->store);
	look_at_events(k, txn);
	hl_webhook_each(txn, 0, 0, webhook, k);
	hl_key_row_each(txn, 0, key, k);
	look_at_alerts(k, txn);
	hl_market_quotes_each(txn, quotes, k);
	hl_market_log_each(txn, quotes, k);
	if (hl_txn_status(txn))
		complain(k, DAMAGED, "reading:", hl_strerror(hl_txn_status(txn)));
}

/* A thing whose deletion was the next to be asked for may be missing altogether: its row goes some time after it. */
static bool held(const struct thing *t, int want)
{
	if (t->found >= want)
		return true;
	return t->found < 0 && want >= t->n_values - 2 && strcmp(t->values[t->n_values - 1], "(gone)") == 0;
}

static void compare(struct look *k, uint64_t at)
{
	for (size_t i = 0; i < n_things; i++) {
		int want = acknowledged(&things[i], at);
		if (want >= 0 && !held(&things[i], want))
			complain(k, LOST, things[i].found < 0 ? "missing:" : "an older value:", things[i].key);
	}
}

/* ---- the verdict -------------------------------------------------------------------------------------------------- */

static enum verdict look(const char *dir, bool write, uint64_t at, char *why, size_t why_cap)
{
	struct look k = { .verdict = GOOD, .why = why, .why_cap = why_cap };
	struct hl_store_options o = { .dir = dir, .read_only = !write, .create = write, .reserve_bytes = 4096 };
	struct hl_err err = { 0 };
	int rc = hl_store_open(&k.store, &o, &err);
	if (rc == HL_ENOTFOUND && judge_acknowledged(at) == 0)
		return GOOD; /* cut before there was anything */
	if (rc) {
		complain(&k, UNOPENABLE, "open:", err.text);
		return k.verdict;
	}
	look_at_all(&k);
	compare(&k, at);
	hl_buf_fini(&k.plain);
	hl_store_close(k.store);
	return k.verdict;
}

enum verdict judge(const char *dir, uint64_t at, char *why, size_t why_cap)
{
	return look(dir, false, at, why, why_cap);
}

static void copy(const char *dir, const char *to, const char *name)
{
	char from[4200], dest[4200];
	static char buf[1 << 20];
	snprintf(from, sizeof(from), "%s/%s", dir, name);
	snprintf(dest, sizeof(dest), "%s/%s", to, name);
	unlink(dest);
	int in = open(from, O_RDONLY), out = in < 0 ? -1 : open(dest, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	for (ssize_t n; out >= 0 && (n = read(in, buf, sizeof(buf))) > 0;)
		if (write(out, buf, (size_t)n) != n)
			die("cannot copy", from);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
}

/* What a server would do next: opened for writing, one event more, closed. */
static enum verdict go_on(const char *dir, char *why, size_t why_cap)
{
	struct look k = { .verdict = GOOD, .why = why, .why_cap = why_cap };
	struct hl_store_options o = { .dir = dir, .create = true, .reserve_bytes = 4096 };
	struct hl_err err = { 0 };
	struct hl_txn *txn;
	struct hl_numbers next;
	if (hl_store_open(&k.store, &o, &err)) {
		complain(&k, UNOPENABLE, "open for writing:", err.text);
		return k.verdict;
	}
	int rc = hl_store_begin_write(k.store, &txn);
	if (!rc) {
		hl_store_next_numbers(txn, &next);
		struct hl_event_row e = { .account = 1, .created_at_ms = 1, .occurred_at_ms = 1, .first_delivery = next.delivery,
			.type = HL_STR("after.the.cut"), .data = HL_STR("{}") };
		hl_event_append(txn, next.event, &e);
		rc = hl_store_commit(txn);
	}
	if (rc)
		complain(&k, DAMAGED, "going on:", hl_strerror(rc));
	hl_store_close(k.store);
	return k.verdict;
}

enum verdict judge_going_on(const char *dir, const char *to, uint64_t at, char *why, size_t why_cap)
{
	static const char *const names[] = { "data.mdb", "key", "key.new", "lock.mdb", "lock" };
	mkdir(to, 0700);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		copy(dir, to, names[i]);
	enum verdict v = go_on(to, why, why_cap);
	return v == GOOD ? look(to, false, at, why, why_cap) : v;
}
