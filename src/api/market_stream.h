/* Streamed market records: PUT /market/items, POST /market/asks and /market/bids. Handlers of HL_ROUTE_STREAM routes. */
#ifndef HL_API_MARKET_STREAM_H
#define HL_API_MARKET_STREAM_H

#include "api/call.h"

enum {
	HL_MARKET_ENTRY_MAX = 65536,  /* bytes of one record */
	HL_MARKET_ERRORS_MAX = 100,   /* bad ones told in an answer */
};

void hl_market_stream_items(struct hl_call *c);
void hl_market_stream_asks(struct hl_call *c);
void hl_market_stream_bids(struct hl_call *c);

#endif
