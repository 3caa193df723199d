/* Errors of the library become problems by one switch; problems become JSON by one writer. */
#include "api/problem.h"

#include "base/check.h"
#include "base/str.h"
#include "http/message.h"

static const struct {
	unsigned status;
	const char *code;
	unsigned retry_s;
	struct hl_str detail;
} table[HL_PROBLEM_N] = {
#define HL_X(name, status, code, retry_s, detail) { status, code, retry_s, HL_STR(detail) },
	HL_PROBLEM_TABLE(HL_X)
#undef HL_X
};

unsigned hl_problem_status(const struct hl_problem *p)
{
	return p->status ? p->status : table[p->kind].status;
}

const char *hl_problem_code(const struct hl_problem *p)
{
	return p->code ? p->code : table[p->kind].code;
}

struct hl_str hl_problem_detail(const struct hl_problem *p)
{
	return p->detail.len ? p->detail : table[p->kind].detail;
}

unsigned hl_problem_retry_s(enum hl_problem_kind k)
{
	return table[k].retry_s;
}

static enum hl_problem_kind kind_of(int code)
{
	switch (code) {
	case HL_EINVAL:
	case HL_EDUPLICATE: return HL_PROBLEM_INVALID;
	case HL_ESYNTAX: return HL_PROBLEM_BAD_JSON;
	case HL_ETOOBIG: return HL_PROBLEM_TOO_LARGE;
	case HL_EEXIST: return HL_PROBLEM_ALREADY_EXISTS;
	case HL_ENOTFOUND: return HL_PROBLEM_NOT_FOUND;
	case HL_ECONFLICT: return HL_PROBLEM_CONFLICT;
	case HL_EMISMATCH: return HL_PROBLEM_IDEMPOTENCY_MISMATCH;
	case HL_ELIMIT: return HL_PROBLEM_LIMIT_REACHED;
	case HL_EURL: return HL_PROBLEM_URL_NOT_ALLOWED;
	case HL_EBLOCKED: return HL_PROBLEM_ADDRESS_BLOCKED;
	case HL_EFULL: return HL_PROBLEM_STORE_FULL;
	case HL_EFATAL: return HL_PROBLEM_STORE_FAILED;
	case HL_EBUSY:
	case HL_EAGAIN:
	case HL_ENOMEM: return HL_PROBLEM_BUSY;
	case HL_ECLOSED:
	case HL_ECANCELED: return HL_PROBLEM_SHUTTING_DOWN;
	default: return HL_PROBLEM_INTERNAL;
	}
}

struct hl_problem hl_problem_from(int code, const struct hl_err *err)
{
	struct hl_problem p = { .kind = kind_of(code) };
	/* What happened inside is for the log, not for callers; and whatever is not theirs is absent in the same words. */
	if (err && err->code == code && p.kind != HL_PROBLEM_INTERNAL && p.kind != HL_PROBLEM_NOT_FOUND) {
		p.detail = hl_str_from(err->text);
		if (err->field[0] == '/')
			p.pointer = hl_str_from(err->field);
	}
	if (p.kind == HL_PROBLEM_IDEMPOTENCY_MISMATCH && !p.pointer.len) { /* not an event's own id: the header */
		p.detail = HL_STR("");
		p.extra_name = "header";
		p.extra = HL_STR("Idempotency-Key");
	}
	return p;
}

void hl_problem_members(struct hl_jsonw *w, const struct hl_problem *p)
{
	hl_jsonw_key(w, "code");
	hl_jsonw_cstr(w, hl_problem_code(p));
	hl_jsonw_key(w, "detail");
	struct hl_str detail = hl_problem_detail(p);
	if (p->pointer.len) {
		struct hl_buf text = { .data = NULL };
		hl_buf_str(&text, p->pointer);
		hl_buf_cstr(&text, ": ");
		hl_buf_str(&text, detail);
		hl_jsonw_str(w, hl_buf_ok(&text) ? hl_buf_all(&text) : detail);
		hl_buf_fini(&text);
		hl_jsonw_key(w, "errors");
		hl_jsonw_array(w);
		hl_jsonw_object(w);
		hl_jsonw_key(w, "pointer");
		hl_jsonw_str(w, p->pointer);
		hl_jsonw_key(w, "detail");
		hl_jsonw_str(w, detail);
		hl_jsonw_object_end(w);
		hl_jsonw_array_end(w);
	} else {
		hl_jsonw_str(w, detail);
	}
	if (p->extra_name) {
		hl_jsonw_key(w, p->extra_name);
		hl_jsonw_str(w, p->extra);
	}
}

const char *hl_problem_write(struct hl_buf *out, const struct hl_problem *p)
{
	struct hl_jsonw w;
	HL_CHECK(p->kind < HL_PROBLEM_N);
	hl_jsonw_init(&w, out);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "type");
	hl_jsonw_cstr(&w, "about:blank");
	hl_jsonw_key(&w, "title");
	hl_jsonw_cstr(&w, hl_status_phrase(hl_problem_status(p)));
	hl_jsonw_key(&w, "status");
	hl_jsonw_u64(&w, hl_problem_status(p));
	hl_problem_members(&w, p);
	hl_jsonw_object_end(&w);
	return "application/problem+json";
}
