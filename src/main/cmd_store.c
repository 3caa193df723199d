/* hookline check, backup and migrate: what is done to a store from outside, a running server or not. */
#include "main/cmd.h"

#include "base/err.h"
#include "base/str.h"
#include "main/confine.h"
#include "main/process.h"
#include "main/setup.h"
#include "store/backup.h"
#include "store/lock.h"
#include <stdio.h>
#include <string.h>

/* Arguments of a command of this file: shared flags, its own switches, the data directory, and for backup the copy's. */
struct words {
	struct hl_setup setup;
	bool compact, with_key;
	const char *rekey;
	const char *dest;
};

/* The data directory is the first word, unless flags, file or environment name it and the word is not there. A default
 * would be a guess here. */
static int read_words(int argc, char **argv, struct words *out, struct hl_config *c)
{
	static const struct option options[] = {
		HL_SETUP_OPTIONS,
		{ "compact", no_argument, NULL, 'c' }, { "with-key", no_argument, NULL, 'k' },
		{ "rekey", required_argument, NULL, 'r' }, { NULL, 0, NULL, 0 },
	};
	*out = (struct words){ .compact = false };
	for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (hl_setup_take(&out->setup, opt, optarg))
			continue;
		if (opt == 'c' && strcmp(argv[0], "backup") == 0)
			out->compact = true;
		else if (opt == 'k' && strcmp(argv[0], "backup") == 0)
			out->with_key = true;
		else if (opt == 'r' && strcmp(argv[0], "migrate") == 0)
			out->rekey = optarg;
		else
			return hl_cmd_usage(argv[0], "unknown option");
	}
	bool backup = strcmp(argv[0], "backup") == 0;
	int n = argc - optind;
	if (n > 1 + backup || n < (int)backup)
		return hl_cmd_usage(argv[0], backup ? "want a data directory and a new one" : "want one data directory");
	if (n == 1 + backup && !hl_setup_take_dir(&out->setup, argv[optind]))
		return hl_cmd_usage(argv[0], "the data directory is given twice");
	out->dest = backup ? argv[argc - 1] : NULL;
	struct hl_err err = { 0 };
	if (hl_setup_config(&out->setup, c, &err))
		return hl_cmd_fail(HL_EXIT_CONFIG, "%s", err.text);
	int code = HL_EXIT_OK;
	if (strcmp(c->source[HL_SETTING_store_dir], "default") == 0)
		code = hl_cmd_usage(argv[0], "want a data directory");
	else if (hl_confine_command(c, out->dest ? out->dest : out->rekey, &err))
		code = hl_cmd_fail(HL_EXIT_UNSAFE, "%s", err.text);
	if (code)
		hl_config_fini(c);
	return code;
}

static void report(void *data, enum hl_audit_severity severity, const char *text)
{
	(void)data;
	printf("%s: %s\n", severity == HL_AUDIT_DAMAGE ? "damage" : "note", text);
}

static void report_page(void *data, const char *text)
{
	uint64_t *n = data;
	if (++*n <= HL_AUDIT_REPORTS_MAX)
		printf("damage: %s\n", text);
	else if (*n == HL_AUDIT_REPORTS_MAX + 1)
		printf("note: more damage than is told here\n");
}

/* Pages first, and only if they are whole what LMDB reads from them. Without a server nobody may start one while everything is
 * compared, hence the lock; it is asked for only once the directory has turned out to hold a store. One that cannot be locked
 * is read as if a server wrote to it. */
static int audit(const struct hl_config *c, bool *out_live, struct hl_audit_summary *sum, uint64_t *out_pages, struct hl_err *err)
{
	const struct hl_store_options so = {
		.dir = c->engine.data_dir, .max_bytes = c->engine.store_max_bytes, .key_file = c->engine.key_file, .read_only = true,
		.damage = report_page, .damage_data = out_pages,
	};
	struct hl_store *store;
	int rc = hl_store_open(&store, &so, err);
	if (rc)
		return rc;
	char file[4200];
	int fd = -1;
	snprintf(file, sizeof(file), "%s/lock", c->engine.data_dir);
	*out_live = hl_lock_take(file, false, &fd, NULL) != HL_OK;
	const struct hl_audit_options ao = { .live = *out_live, .report = report };
	rc = hl_audit(store, &ao, sum, err);
	hl_store_close(store);
	if (!*out_live)
		hl_lock_give(fd);
	return rc;
}

int hl_cmd_check(int argc, char **argv)
{
	struct words w;
	struct hl_config c;
	int code = read_words(argc, argv, &w, &c);
	if (code)
		return code;
	struct hl_err err = { 0 };
	struct hl_audit_summary sum = { 0 };
	/* LMDB keeps no checksums: it follows whatever its pages say, also out of the file, should one change meanwhile */
	hl_process_last_words("damage: data.mdb's pages are damaged, LMDB cannot read them; restore a backup\n", HL_EXIT_FAILED);
	bool live = false;
	uint64_t pages = 0;
	int rc = audit(&c, &live, &sum, &pages, &err);
	hl_process_give_files(c.engine.data_dir);
	hl_config_fini(&c);
	if (rc && pages) {
		puts("damaged");
		return hl_cmd_fail(HL_EXIT_FAILED, "%s", err.text);
	}
	if (rc)
		return hl_cmd_fail_err(&err);
	printf("events %llu, deliveries %llu (pending %llu), further attempts %llu, due %llu, index entries %llu, tail %llu\n",
			(unsigned long long)sum.events, (unsigned long long)sum.deliveries, (unsigned long long)sum.pending,
			(unsigned long long)sum.attempts, (unsigned long long)sum.due, (unsigned long long)sum.index_entries,
			(unsigned long long)sum.tail);
	printf("accounts %llu, keys %llu, webhooks %llu, servers %llu, event types %llu, jobs %llu\n",
			(unsigned long long)sum.accounts, (unsigned long long)sum.keys, (unsigned long long)sum.webhooks,
			(unsigned long long)sum.servers, (unsigned long long)sum.event_types, (unsigned long long)sum.jobs);
	printf("alerts %llu, alert events %llu, market items %llu, blocks of quotes %llu\n", (unsigned long long)sum.alerts,
			(unsigned long long)sum.alert_events, (unsigned long long)sum.market_items, (unsigned long long)sum.market_blocks);
	printf("%s%s\n", sum.damages ? "damaged" : "clean", live ? " (a server writes meanwhile; counters were not compared)" : "");
	return sum.damages ? HL_EXIT_FAILED : HL_EXIT_OK;
}

int hl_cmd_backup(int argc, char **argv)
{
	struct words w;
	struct hl_config c;
	int code = read_words(argc, argv, &w, &c);
	if (code)
		return code;
	const struct hl_backup_options o = {
		.dir = c.engine.data_dir, .dest = w.dest, .key_file = c.engine.key_file, .compact = w.compact, .with_key = w.with_key,
	};
	struct hl_err err = { 0 };
	int rc = hl_backup(&o, &err);
	hl_process_give_files(c.engine.data_dir);
	hl_config_fini(&c);
	if (rc && err.field[0]) /* the copy's directory is at fault, not the data directory */
		return hl_cmd_fail(HL_EXIT_FAILED, "%s", err.text);
	return rc ? hl_cmd_fail_err(&err) : HL_EXIT_OK;
}

/* Opening for writing is the migration: so far every older format is brought to ours in the opening transaction. */
static int migrate(const struct hl_config *c, struct hl_err *err)
{
	const struct hl_store_options so = {
		.dir = c->engine.data_dir, .max_bytes = c->engine.store_max_bytes, .key_file = c->engine.key_file,
	};
	struct hl_store *store;
	int rc = hl_store_open(&store, &so, err);
	if (rc)
		return rc;
	uint32_t found = hl_store_found_format(store);
	hl_store_close(store);
	if (found == HL_FORMAT_VERSION)
		puts("the store has the format of this version; nothing to do");
	else
		printf("the store was brought from format %u to format %d\n", found, HL_FORMAT_VERSION);
	return HL_OK;
}

int hl_cmd_migrate(int argc, char **argv)
{
	struct words w;
	struct hl_config c;
	int code = read_words(argc, argv, &w, &c);
	if (code)
		return code;
	struct hl_err err = { 0 };
	int rc = w.rekey ? hl_rekey(c.engine.data_dir, c.engine.key_file, w.rekey, &err) : migrate(&c, &err);
	hl_process_give_files(c.engine.data_dir);
	if (rc == HL_OK && w.rekey)
		printf("every secret is sealed under %s now; name it in store.key_file or make it the data directory's \"key\"\n", w.rekey);
	hl_config_fini(&c);
	return rc ? hl_cmd_fail_err(&err) : HL_EXIT_OK;
}
