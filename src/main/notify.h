/* Talking to the service manager (sd_notify protocol): one datagram per message to $NOTIFY_SOCKET. */
#ifndef HL_MAIN_NOTIFY_H
#define HL_MAIN_NOTIFY_H

#include <hookline/types.h>
#include <uv.h>

/* Sends e.g. "READY=1". Nothing happens when nobody asked to be notified; failures are nobody's loss. */
void hl_notify(const char *message);
/* state ("READY=1"; "" = none) and a line for people, which "systemctl status" shows; its line feeds become blanks. */
void hl_notify_status(const char *state, const char *fmt, ...) HL_PRINTF(2, 3);
/* "RELOADING=1" with the clock value that Type=notify-reload wants. */
void hl_notify_reloading(void);

/* Sends WATCHDOG=1 twice per $WATCHDOG_USEC as long as the loop turns; without it there is no timer at all. Stopped when
 * the store has failed, so that an end that hangs is noticed. */
struct hl_watchdog {
	uv_timer_t timer;
	bool on;
};
void hl_watchdog_start(struct hl_watchdog *w, uv_loop_t *loop);
void hl_watchdog_stop(struct hl_watchdog *w);

#endif
