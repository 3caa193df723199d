/* Hookline as a library: a webhook dispatcher inside your own program.
 *
 * You bring a libuv loop and a directory. The library keeps webhooks, events, deliveries and their history in that
 * directory, delivers on your loop, and adds one thread of its own for the disk.
 *
 *   hookline/types.h       plain types: times, slices, headers
 *   hookline/error.h       error codes, `struct hl_err`
 *   hookline/webhook.h     a webhook and its limits
 *   hookline/event.h       events, deliveries, attempts and the words for how they end
 *   hookline/stats.h       counters, gauges, histograms
 *   hookline/dispatcher.h  everything you can call; threads, ownership and the async contract are told at its top
 *   hookline/alert.h       rules over market prices that publish an event when they become true
 *
 * A whole program (cc tour.c $(pkg-config --cflags --libs hookline); a test builds and runs exactly this text):
 *
 * #include <hookline.h>
 * #include <stdio.h>
 *
 * static void on_closed(void *data) { (void)data; puts("closed"); }
 *
 * static void on_attempt(void *data, const struct hl_outcome *o)
 * {
 *     struct hl_dispatcher **d = data;
 *     printf("%.*s: attempt %u %s, status %u\n", (int)o->event->type.len, o->event->type.ptr, (unsigned)o->attempt->number,
 *            o->attempt->succeeded ? "succeeded" : "failed", (unsigned)o->attempt->http_status);
 *     if (*d)
 *         hl_dispatcher_close(*d, 5000, on_closed, NULL);
 *     *d = NULL;
 * }
 *
 * static void on_published(void *data, int status, const struct hl_published *p)
 * {
 *     (void)data;
 *     printf("published: %s, %u deliveries on disk\n", hl_strerror(status), p ? (unsigned)p->n_deliveries : 0u);
 * }
 *
 * static void on_webhook(void *data, int status, const struct hl_err *err, const struct hl_webhook_result *r)
 * {
 *     struct hl_dispatcher **d = data;
 *     struct hl_publish p = { .type = HL_STR("order.created"), .data = HL_STR("{\"total\": 9.90}") };
 *     (void)err;
 *     printf("webhook: %s, secret of %zu characters\n", hl_strerror(status), r ? r->secret.len : 0);
 *     if (status || hl_publish(*d, HL_ACCOUNT_DEFAULT, &p, on_published, NULL, NULL))
 *         hl_dispatcher_close(*d, 0, on_closed, NULL);
 * }
 *
 * int main(int argc, char **argv)
 * {
 *     struct hl_dispatcher *d = NULL;
 *     struct hl_options o;
 *     struct hl_err err = { 0 };
 *     hl_options_init(&o);
 *     o.data_dir = argc > 1 ? argv[1] : "tour-data";
 *     o.allow_networks = "127.0.0.0/8"; // a receiver on this machine; leave it out otherwise
 *     o.on_attempt = on_attempt;
 *     o.data = &d;
 *     struct hl_webhook w = { .account = HL_ACCOUNT_DEFAULT, .name = HL_STR("tour") };
 *     w.url = (struct hl_str){ argv[argc - 1], __builtin_strlen(argv[argc - 1]) };
 *     if (argc < 3 || hl_dispatcher_open(&d, uv_default_loop(), &o, &err) ||
 *         hl_webhook_create(d, &w, HL_STR_NONE, 0, NULL, on_webhook, &d, &err))
 *         return fprintf(stderr, "tour DIR URL: %s\n", err.text), 1;
 *     return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 * }
 */
#ifndef HOOKLINE_H
#define HOOKLINE_H

#include <hookline/alert.h>
#include <hookline/dispatcher.h>

#endif
