/* The alert engine on the dispatcher's fixture: virtual time, a disk that commits when asked.
 *
 *   struct ax x;
 *   ax_init(&x);                         // a store with three items, one webhook, EUR at 0.5
 *   uint64_t n = ax_rule(&x, HL_ALERT_PRICE_BELOW, 1, 20000000, "USD");
 *   ax_ask(&x, 1, "buff163", 1950);
 *   assert_int_equal(ax_events(&x), 1);
 *   ax_fini(&x);                         // audits the store */
#ifndef HL_TEST_ENGINE_H
#define HL_TEST_ENGINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../dispatch/fixture.h"
#include "alerts/internal.h"

struct ax {
	struct fx f;
	struct hl_alerts *a;
	uint32_t webhook;
};

/* The answer to a call. */
struct ax_result {
	bool called;
	int status;
	struct hl_err err;
	struct hl_alert alert;       /* without slices */
	bool replayed;
	char answer[64];
	size_t n;                    /* of a batch */
	struct { int status; uint64_t number; char field[64]; } each[HL_ALERT_BATCH_MAX];
};
void ax_on_alert(void *data, int status, const struct hl_err *err, const struct hl_alert_result *r);
void ax_on_batch(void *data, int status, const struct hl_err *err, const struct hl_alert_batch_made *made);
void ax_on_done(void *data, int status, const struct hl_err *err);

void ax_init(struct ax *x);
void ax_fini(struct ax *x);
void ax_open(struct ax *x);              /* after ax_close */
void ax_close(struct ax *x);
void ax_crash(struct ax *x);             /* as kill -9 now; opens again */
void ax_audit(struct ax *x);

/* Begun, not pumped: */
void ax_quotes_begin(struct ax *x, bool bids, const struct hl_market_quote *q, size_t n, struct ax_result *out);
void ax_rule_begin(struct ax *x, const struct hl_alert *v, const struct hl_alert_gate *gate, struct ax_result *out);
void ax_update_begin(struct ax *x, uint64_t number, uint32_t fields, const struct hl_alert *values, struct ax_result *out);
void ax_delete_begin(struct ax *x, uint64_t number, struct ax_result *out);
/* Pumped; they fail the test when refused. */
void ax_items(struct ax *x, uint64_t first, size_t n);
void ax_rates(struct ax *x, const struct hl_rate *v, size_t n);
struct hl_market_quote ax_quote(uint64_t item, const char *provider, int64_t cents);
void ax_ask(struct ax *x, uint64_t item, const char *provider, int64_t cents);
void ax_bid(struct ax *x, uint64_t item, const char *provider, int64_t cents);
struct hl_alert ax_alert(enum hl_alert_kind kind, uint64_t item, int64_t threshold, const char *currency); /* enabled */
uint64_t ax_rule(struct ax *x, enum hl_alert_kind kind, uint64_t item, int64_t threshold, const char *currency);
void ax_enable(struct ax *x, uint64_t number, bool enabled);
struct hl_alert ax_get(struct ax *x, uint64_t number);
/* An account's row, as the floor above would put it; begun, and pumped. */
void ax_account_begin(struct ax *x, const struct hl_account_row *row);
void ax_account(struct ax *x, const struct hl_account_row *row);

/* Events of alerts, newest first; alert 0 = all. Slices are gone. */
size_t ax_list_events(struct ax *x, uint64_t alert, struct hl_alert_event *out, size_t max);
static inline size_t ax_events(struct ax *x) { return ax_list_events(x, 0, NULL, 0); }
static inline size_t ax_events_of(struct ax *x, uint64_t alert) { return ax_list_events(x, alert, NULL, 0); }

#endif
