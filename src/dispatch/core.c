/* Errands that all files of the floor share: letting commands in and counting them, account generations, public ids. */
#include "dispatch/core.h"

#include "base/check.h"
#include "base/err.h"
#include "base/siphash.h"
#include <stdlib.h>

/* ---- commands ---- */

int hl_core_admit(struct hl_dispatcher *d, struct hl_err *err)
{
	if (d->state != HL_CORE_OPEN)
		return hl_err_set(err, HL_ECLOSED, "the dispatcher is closing");
	if (d->failed)
		return hl_err_set(err, HL_EFATAL, "the store failed; restart the process");
	if (d->behind) {
		hl_core_soon(d); /* another try */
		return hl_err_set(err, d->behind, d->behind == HL_ENOMEM ? "out of memory" :
				"the store cannot be read; hookline check names what is damaged");
	}
	if (hl_commit_backlog(d->commit) >= HL_COMMIT_BACKLOG_MAX || hl_commit_backlog_bytes(d->commit) >= HL_COMMIT_BYTES_MAX)
		return hl_err_set(err, HL_EBUSY, "too much waits for the disk");
	return 0;
}

void hl_core_submit(struct hl_dispatcher *d, struct hl_command *c)
{
	d->n_commands++;
	hl_commit_submit(d->commit, c);
}

void hl_core_command_done(struct hl_dispatcher *d)
{
	HL_CHECK(d->n_commands > 0);
	d->n_commands--;
	if (d->state == HL_CORE_DRAINING)
		hl_core_soon(d);
}

void hl_core_behind(struct hl_dispatcher *d, int rc)
{
	if (d->behind != rc)
		hl_log(&d->log, HL_LOG_ERROR, "dispatcher.behind", "code=%s; changes are refused until what is stored can be followed",
				hl_errname(rc));
	d->behind = rc;
	hl_core_soon(d);
}

void hl_core_hold(struct hl_dispatcher *d)
{
	d->scheduler.held = d->state != HL_CORE_OPEN || d->failed || d->room == HL_ROOM_SPENT ||
			d->n_uncommitted >= d->set.max_uncommitted;
}

/* ---- generations ---- */

uint64_t hl_core_generation(struct hl_dispatcher *d, uint32_t account)
{
	const uint64_t *g = hl_map_u64_get(&d->generations, account);
	return g ? *g : 0;
}

int hl_core_set_generation(struct hl_dispatcher *d, uint32_t account, uint64_t generation)
{
	uint64_t *g = hl_map_u64_get(&d->generations, account);
	if (!g) {
		g = malloc(sizeof(*g));
		if (!g || hl_map_u64_put(&d->generations, account, g) != 0) {
			free(g);
			return HL_ENOMEM;
		}
		*g = 0;
	}
	*g = HL_MAX(*g, generation);
	return 0;
}

/* ---- ids ---- */

enum { CHECK_BITS = 28 };

static uint32_t id_check(const struct hl_dispatcher *d, enum hl_id_kind kind, uint64_t number, uint64_t at_ms)
{
	uint8_t in[17];
	in[0] = (uint8_t)kind;
	hl_be64_put(in + 1, number);
	hl_be64_put(in + 9, at_ms);
	return (uint32_t)(hl_siphash(hl_store_id_key(d->store), in, sizeof(in)) >> (64 - CHECK_BITS));
}

/* UUIDv7: 48 bits of time, version, 12 + 62 bits: number (46) and check (28). */
void hl_core_id(const struct hl_dispatcher *d, enum hl_id_kind kind, uint64_t number, hl_ms_t created_at_ms,
		char out[HL_ID_CAP])
{
	uint64_t at = (uint64_t)created_at_ms & 0xffffffffffffull;
	uint64_t check = id_check(d, kind, number, at);
	uint8_t b[16];
	/* 74 bits: a = number's top 12, b = number's low 34 and the check's 28 */
	hl_be64_put(b, at << 16 | 0x7000u | (number >> 34 & 0xfff));
	hl_be64_put(b + 8, 2ull << 62 | (number & 0x3ffffffffull) << 28 | check);
	char hex[32];
	hl_hex_encode(b, sizeof(b), hex);
	static const uint8_t cut[] = { 8, 4, 4, 4, 12 };
	size_t at_out = 0, at_in = 0;
	for (size_t i = 0; i < sizeof(cut); i++) {
		if (i)
			out[at_out++] = '-';
		memcpy(out + at_out, hex + at_in, cut[i]);
		at_out += cut[i];
		at_in += cut[i];
	}
	out[at_out] = '\0';
}

void hl_id_format(const struct hl_dispatcher *d, enum hl_id_kind kind, uint64_t number, hl_ms_t created_at_ms,
		char out[HL_ID_CAP])
{
	hl_core_id(d, kind, number, created_at_ms, out);
}

int hl_id_parse(const struct hl_dispatcher *d, enum hl_id_kind kind, struct hl_str text, uint64_t *out_number)
{
	char hex[32];
	uint8_t b[16];
	size_t n = 0;
	if (text.len != HL_ID_LEN)
		return HL_ESYNTAX;
	for (size_t i = 0; i < text.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash != (text.ptr[i] == '-'))
			return HL_ESYNTAX;
		if (!dash)
			hex[n++] = text.ptr[i];
	}
	if (!hl_hex_decode(hl_str_make(hex, sizeof(hex)), b, sizeof(b)))
		return HL_ESYNTAX;
	uint64_t hi = hl_be64_get(b), lo = hl_be64_get(b + 8);
	uint64_t number = (hi & 0xfff) << 34 | (lo >> 28 & 0x3ffffffffull);
	if ((hi >> 12 & 0xf) != 7 || lo >> 62 != 2 || (lo & 0xfffffff) != id_check(d, kind, number, hi >> 16) || number == 0)
		return HL_ENOTFOUND;
	*out_number = number;
	return 0;
}
