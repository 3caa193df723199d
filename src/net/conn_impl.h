/* What conn.c, conn_write.c and conn_hub.c share; for nobody else. */
#ifndef HL_NET_CONN_IMPL_H
#define HL_NET_CONN_IMPL_H

#include "net/conn.h"

/* What one read can decrypt to, a record held back before included. */
enum { HL_CONN_PLAIN_CAP = HL_CONN_READ_CAP + 32768 };

/* conn.c */

/* Ends the stream from a callback of the loop: closes, tells on_end. The last thing the caller does with c. */
void hl_conn_end(struct hl_conn *c, int status, const char *text);
/* Sends the ClientHello of a queued connection. No owner is called back from inside: failures are told later. */
void hl_conn_handshake_start(struct hl_conn *c);

/* conn_write.c */

/* Sends what TLS put into the hub's cipher buffer, and empties it. HL_ENOMEM: some was lost. */
HL_MUST_CHECK int hl_conn_send_cipher(struct hl_conn *c);

/* conn_hub.c */

/* Starts the clock of a phase and puts c at the end of `list` (hub->connecting or hub->handshaking). */
void hl_conn_hub_limit(struct hl_conn *c, struct hl_list *list, uint32_t timeout_ms);
int32_t hl_conn_phase_ms(const struct hl_conn *c); /* since then */
void hl_conn_hub_take_slot(struct hl_conn *c);     /* HANDSHAKING begins */
/* Gives back the handshake slot or the place in line, if any. Call before the state changes. */
void hl_conn_hub_leave_slot(struct hl_conn *c);
/* Starts handshakes while slots are free and somebody waits. */
void hl_conn_hub_run_queue(struct hl_conn_hub *hub);

#endif
