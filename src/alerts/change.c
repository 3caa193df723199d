/* The machinery of a change of rules. The loop checks and prepares; apply checks again what may have changed on the way (is it
 * still there, how many are enabled) and writes; when it is durable memory follows: what the old row put into the index leaves
 * it, the new one enters and is judged; then the caller is told.
 *
 * Whether there is a channel is known on the loop, where the webhooks' index is; how many rules are enabled only inside the
 * transaction, so that two changes of one batch cannot both take the last place. */
#include "alerts/change.h"

#include "alerts/message.h"

#include "base/err.h"
#include "store/alerts.h"
#include <stdlib.h>

struct hl_alert_change *hl_alert_change_new(struct hl_alerts *a, size_t n)
{
	struct hl_alert_change *c = calloc(1, sizeof(*c));
	if (c)
		c->rows = calloc(n ? n : 1, sizeof(c->rows[0]));
	if (c && !c->rows) {
		free(c);
		return NULL;
	}
	if (c) {
		c->a = a;
		c->channel = true;
	}
	return c;
}

void hl_alert_change_free(struct hl_alert_change *c)
{
	hl_idem_use_fini(&c->idem);
	free(c->results);
	free(c->rows);
	free(c);
}

/* ---- the gate ---- */

int hl_alert_change_gate(struct hl_alert_change *c, uint32_t account, const struct hl_alert_gate *gate)
{
	struct hl_targets *targets = NULL;
	if (!gate)
		return 0;
	c->max_enabled = gate->max_enabled;
	c->channel = gate->email;
	if (c->channel || !gate->webhooks)
		return 0;
	int rc = hl_subscriptions_match(c->a->d->subscriptions, account, HL_STR(HL_ALERT_EVENT_TYPE), 0, &targets);
	if (rc)
		return rc;
	c->channel = targets->n > 0;
	hl_targets_release(targets);
	return 0;
}

int hl_alert_change_allow(const struct hl_alert_change *c, struct hl_txn *txn, uint32_t account, uint64_t n)
{
	struct hl_totals t;
	if (n == 0)
		return 0;
	if (!c->channel)
		return HL_ECONFLICT;
	if (!c->max_enabled)
		return 0;
	hl_totals_get(txn, account, &t);
	return t.alerts_enabled + n > c->max_enabled ? HL_ELIMIT : hl_txn_status(txn);
}

/* ---- the command ---- */

static int apply(struct hl_command *command, struct hl_txn *txn)
{
	struct hl_alert_change *c = HL_CONTAINER_OF(command, struct hl_alert_change, command);
	c->had_old = false;
	c->n_entering = 0;
	int rc = hl_idem_use_check(&c->idem, c->a->d->store, txn);
	return rc ? rc : c->apply(c, txn);
}

static void land(struct hl_alert_change *c)
{
	struct hl_alerts *a = c->a;
	if (c->had_old)
		hl_alerts_rule_leave(a, c->old.number);
	for (size_t i = 0; i < c->n_entering; i++) {
		hl_alerts_rule_leave(a, c->rows[i].number); /* a rejudging may have seen a new row before we were told of it */
		if (c->rows[i].enabled)
			hl_alerts_rule_enter(a, &c->rows[i]);
	}
}

static void describe(const struct hl_alert_change *c, int status, struct hl_err *err)
{
	if (status == HL_ENOTFOUND)
		hl_err_set(err, status, "there is no such alert");
	else if (status == HL_ECONFLICT)
		hl_err_set(err, status, "an enabled alert needs a webhook that takes it, or a verified e-mail address");
	else if (status == HL_ELIMIT)
		hl_err_set(err, status, "the account may have %u enabled alerts", c->max_enabled);
	else if (status)
		hl_err_set(err, status, "%s", hl_strerror(status));
}

static void done(struct hl_command *command, int status)
{
	struct hl_alert_change *c = HL_CONTAINER_OF(command, struct hl_alert_change, command);
	struct hl_alerts *a = c->a;
	struct hl_err err = { 0 };
	hl_core_command_done(a->d);
	if (status == 0)
		land(c);
	else if (status != HL_EEXIST)
		describe(c, status, &err);
	c->answer(c, status, &err);
	hl_alert_change_free(c);
	hl_alerts_ended(a);
}

void hl_alert_change_submit(struct hl_alert_change *c, bool grows)
{
	c->command = (struct hl_command){ .priority = HL_PRIO_API, .grows = grows, .apply = apply, .done = done,
		.bytes = (uint32_t)(512 + c->n * 256) };
	hl_alerts_submit(c->a, &c->command);
}
