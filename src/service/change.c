/* A change: made on the loop, applied on the storage thread, told on the loop when it is durable.
 *
 * With an idempotency key, apply looks for an earlier use first: the same fingerprint leaves everything as it is and hands
 * the kept answer back; another one is HL_EMISMATCH. Else the change is applied and its answer, rendered and sealed before
 * the hand-over, is kept in the same transaction.
 *
 * Failures: what apply returns, or the commit's own code, goes to the callback. A kept answer that does not open is
 * HL_EKEY: better an error than doing it twice. */
#include "service/internal.h"

#include "base/crash.h"
#include "base/err.h"
#include "store/idem.h"

#include <stdlib.h>

static void change_done(struct hl_command *cmd, int status);

static int change_apply(struct hl_command *cmd, struct hl_txn *txn)
{
	struct hl_change *c = HL_CONTAINER_OF(cmd, struct hl_change, command);
	hl_ms_t now = hl_env_wall_ms(hl_store_env(txn->store)); /* the loop's clocks are the loop's */
	c->idem.replayed = false;
	if (c->idem.on) {
		struct hl_idem_row row;
		int rc = hl_idem_find(txn, c->idem.account, c->idem.scope, c->idem.key, now, &row);
		if (rc < 0)
			return rc;
		if (rc == 1) {
			if (!hl_bytes_eq(row.fingerprint, c->idem.fingerprint, sizeof(row.fingerprint)))
				return HL_EMISMATCH;
			hl_buf_reset(&c->idem.found);
			hl_buf_str(&c->idem.found, row.answer);
			c->idem.replayed = true;
			return hl_buf_ok(&c->idem.found) ? HL_OK : HL_ENOMEM;
		}
	}
	int rc = c->apply(c, txn);
	if (!rc && c->idem.on) {
		struct hl_idem_row row = { .created_at_ms = now, .answer = hl_buf_all(&c->idem.sealed) };
		memcpy(row.fingerprint, c->idem.fingerprint, sizeof(row.fingerprint));
		hl_idem_put(txn, c->idem.account, c->idem.scope, c->idem.key, &row);
	}
	return rc ? rc : hl_txn_status(txn);
}

struct hl_change *hl_change_new(struct hl_service *s, int (*apply)(struct hl_change *, struct hl_txn *),
		void (*landed)(struct hl_change *), hl_change_cb cb, void *data)
{
	struct hl_change *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->service = s;
	c->apply = apply;
	c->landed = landed;
	c->cb = cb;
	c->data = data;
	c->command.priority = HL_PRIO_API;
	c->command.bytes = 512;
	c->command.apply = change_apply;
	c->command.done = change_done;
	hl_arena_init(&c->arena, 0);
	return c;
}

void hl_change_free(struct hl_change *c)
{
	hl_arena_fini(&c->arena);
	hl_buf_fini(&c->idem.sealed);
	hl_buf_fini(&c->idem.found);
	hl_buf_fini(&c->idem.answer);
	free(c);
}

struct hl_str hl_change_dup(struct hl_change *c, struct hl_str s)
{
	return hl_arena_dup(&c->arena, s);
}

int hl_change_once(struct hl_change *c, uint32_t account, const struct hl_idempotency *idem, const void *object,
		struct hl_str secret)
{
	if (!idem)
		return HL_OK;
	c->idem.on = true;
	c->idem.account = account;
	c->idem.scope = hl_change_dup(c, idem->scope);
	c->idem.key = hl_change_dup(c, idem->key);
	if (!c->idem.scope.ptr || !c->idem.key.ptr)
		return HL_ENOMEM;
	memcpy(c->idem.fingerprint, idem->fingerprint, sizeof(c->idem.fingerprint));
	if (!idem->render)
		return HL_OK;
	struct hl_str answer = idem->render(idem->data, object, secret);
	c->command.bytes += (uint32_t)answer.len;
	return hl_store_seal(c->service->store, HL_SEAL_ANSWER, account, answer, &c->idem.sealed);
}

void hl_change_submit(struct hl_change *c)
{
	c->service->n_changes++;
	hl_commit_submit(c->service->commit, &c->command);
}

static void change_done(struct hl_command *cmd, int status)
{
	struct hl_change *c = HL_CONTAINER_OF(cmd, struct hl_change, command);
	struct hl_service *s = c->service;
	HL_CRASH_POINT(CHANGE_DURABLE);
	if (!status && c->idem.replayed) {
		struct hl_str sealed = hl_buf_all(&c->idem.found);
		if (sealed.len)
			status = hl_store_unseal(s->store, HL_SEAL_ANSWER, c->idem.account, sealed, &c->idem.answer);
		c->result = (struct hl_change_result){ .replayed = true, .answer = hl_buf_all(&c->idem.answer) };
	} else if (!status && c->landed) {
		c->landed(c);
	}
	if (status && !c->err.code)
		hl_err_set(&c->err, status, "%s", hl_strerror(status));
	if (c->cb)
		c->cb(c->data, status, status ? &c->err : NULL, status ? NULL : &c->result);
	hl_change_free(c);
	s->n_changes--;
	hl_service_settle(s);
}
