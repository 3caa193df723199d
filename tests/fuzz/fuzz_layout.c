/* Any bytes as a stored record (the first byte says of which table): a decoder refuses them or reads within them. */
#include "store/layout.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	union {
		struct hl_event_row event;
		struct hl_delivery_row delivery;
		struct hl_counts counts;
		struct hl_totals totals;
		struct hl_idem_row idem;
		struct hl_job_row job;
		struct hl_alert_row alert;
		struct hl_alert_event_row fired;
		struct hl_rates_row rates;
		struct hl_block_reader block;
	} out;
	struct hl_market_quote quote;
	bool bid;
	if (len < 1)
		return 0;
	struct hl_str bytes = hl_str_make((const char *)data + 1, len - 1);
	switch (data[0] % 10) {
	case 0: return hl_event_row_decode(bytes, &out.event) > 0;
	case 1: return hl_delivery_row_decode(bytes, &out.delivery) > 0;
	case 2: return hl_counts_decode(bytes, &out.counts) > 0;
	case 3: return hl_totals_decode(bytes, &out.totals) > 0;
	case 4: return hl_idem_row_decode(bytes, &out.idem) > 0;
	case 5: return hl_job_row_decode(bytes, &out.job) > 0;
	case 6: return hl_alert_row_decode(bytes, &out.alert) > 0;
	case 7: return hl_alert_event_row_decode(bytes, &out.fired) > 0;
	case 8: return hl_rates_row_decode(bytes, &out.rates) > 0;
	default:
		hl_block_read(&out.block, bytes);
		while (hl_block_next(&out.block, &quote, &bid))
			;
		return hl_block_end(&out.block) > 0;
	}
}
