/* Where a webhook sends, at rest. The URL of a chat service is a credential, and so are the values of custom headers: both
 * are sealed together in the webhook's rows, its revisions included. Rows of format 2 hold them in the clear. */
#ifndef HL_STORE_ADDRESS_H
#define HL_STORE_ADDRESS_H

#include "store/store.h"

enum { HL_ADDRESS_FORMAT = 3 };       /* the format since which they are sealed */

/* The sealed form of w->url and the values of w->headers, for hl_webhook_row.address. HL_ENOMEM, HL_EIO. */
HL_MUST_CHECK int hl_address_seal(struct hl_store *s, const struct hl_webhook *w, struct hl_buf *out);
/* Fills in r->w.url and the values of r->w.headers, in the arena, when r holds them sealed, and empties r->address. HL_EKEY
 * when they do not open, HL_ECORRUPT when what was sealed is not an address, HL_ENOMEM. */
HL_MUST_CHECK int hl_address_open(struct hl_txn *txn, struct hl_webhook_row *r);
/* Brings every row to this format; a failure fails the transaction. The old bytes stay in pages the store reuses. */
void hl_address_seal_all(struct hl_txn *txn);

#endif
