/* First event types. The file is read and checked at every start, so that a mistake shows when it is made and not when
 * the next store is; whether the store is new is the library's to know, and it takes them in one transaction.
 *
 *   the file is missing, too large or wrong    the start ends with the option, the file and the entry
 *   the store is not new                       nothing happens
 *   the store refuses or fails                 the start ends; the next one tries again, because nothing was written */
#include "main/seed.h"

#include "api/event_type_json.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>

enum { FILE_MAX = 8 << 20 };

static int read_file(const char *path, struct hl_buf *out, struct hl_err *err)
{
	char piece[8192];
	size_t n;
	FILE *f = fopen(path, "re");
	if (!f)
		return hl_err_errno(err, errno, "%s", path);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		hl_buf_add(out, piece, n);
	int failed = ferror(f) ? errno : 0;
	fclose(f);
	if (failed)
		return hl_err_errno(err, failed, "%s", path);
	if (!hl_buf_ok(out))
		return hl_err_set(err, HL_EINVAL, "%s: larger than %d MiB", path, FILE_MAX >> 20);
	return HL_OK;
}

/* Names the entry, counted from 0, and its member where there is one. */
static int explain(const char *path, struct hl_err *err)
{
	if (err->field[0])
		return hl_err_prefix(err, "%s: %s", path, err->field);
	return hl_err_prefix(err, "%s", path);
}

int hl_seed_read(struct hl_seed *out, const char *from, struct hl_err *err)
{
	struct hl_err why = { 0 };
	struct hl_buf file = { .max = FILE_MAX };
	struct hl_str text = hl_str_make(hl_seed_builtin, hl_seed_builtin_len);
	from = from ? from : "";
	*out = (struct hl_seed){ .from = from };
	hl_arena_init(&out->arena, 0);
	if (strcmp(from, "none") == 0)
		return HL_OK;
	int rc = from[0] ? read_file(from, &file, &why) : HL_OK;
	if (!rc && from[0]) {
		text = hl_arena_dup(&out->arena, hl_buf_all(&file));
		rc = text.ptr ? HL_OK : hl_err_set(&why, HL_ENOMEM, "%s: no memory", from);
	}
	hl_buf_fini(&file);
	struct hl_reader r = { .arena = &out->arena, .err = &why };
	if (!rc) {
		rc = hl_event_types_read(&r, text, &out->types, &out->n);
		if (rc)
			explain(from[0] ? from : "the built-in catalogue", &why);
	}
	if (rc) {
		hl_seed_fini(out);
		hl_err_prefix(&why, "store.event_types");
		if (err)
			*err = why;
	}
	return rc;
}

void hl_seed_fini(struct hl_seed *s)
{
	hl_arena_fini(&s->arena);
	s->types = NULL;
	s->n = 0;
}

struct planting {
	bool ended;
	int status;
	struct hl_err err;
};

static void planted(void *data, int status, const struct hl_err *err)
{
	struct planting *p = data;
	p->ended = true;
	p->status = status;
	if (err)
		p->err = *err;
}

int hl_seed_plant(const struct hl_seed *s, struct hl_dispatcher *d, uv_loop_t *loop, const struct hl_log *log,
		struct hl_err *err)
{
	char quoted[300];
	struct planting p = { .ended = false };
	int rc = hl_event_type_seed(d, s->types, s->n, planted, &p, &p.err);
	if (!rc) {
		while (!p.ended)
			uv_run(loop, UV_RUN_ONCE);
		rc = p.status;
	}
	if (rc == HL_EEXIST)
		return HL_OK;
	if (rc && err) {
		*err = p.err;
		explain(s->from[0] ? s->from : "the built-in catalogue", err);
	}
	if (rc)
		return rc;
	hl_log(log, HL_LOG_INFO, "serve.catalogue", "event_types=%zu from=%s", s->n,
			hl_log_quote(hl_str_from(s->from[0] ? s->from : "built-in"), quoted, sizeof(quoted)));
	return HL_OK;
}
