/* Reading the list of tiers from its text form, entry by entry:
 *
 *   entry  = name [ ":" item *( "," item ) ]
 *   item   = "webhooks" / "batch" / "rpm=" n / "max_webhooks=" n / "max_enabled_alerts=" n
 *
 * Anything else is an error that quotes the entry; nothing is guessed. */
#include "service/tiers.h"

#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

void hl_tiers_init(struct hl_tiers *t)
{
	memset(t, 0, sizeof(*t));
	t->n = 1;
	t->list[0] = (struct hl_tier){ .name = "quant", .webhooks = true, .batch = true };
}

static bool name_ok(struct hl_str s)
{
	if (s.len < 1 || s.len > HL_TIER_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
		if (!ok)
			return false;
	}
	return true;
}

static bool parse_item(struct hl_str item, struct hl_tier *t)
{
	if (hl_str_eq(item, HL_STR("webhooks"))) {
		t->webhooks = true;
		return true;
	}
	if (hl_str_eq(item, HL_STR("batch"))) {
		t->batch = true;
		return true;
	}
	struct hl_str value = item, name = hl_str_split(&value, '=');
	uint64_t n;
	if (!value.ptr || !hl_str_u64(hl_str_trim(value), &n) || n > UINT32_MAX)
		return false;
	name = hl_str_trim(name);
	if (hl_str_eq(name, HL_STR("rpm")))
		t->rpm = (uint32_t)n;
	else if (hl_str_eq(name, HL_STR("max_webhooks")))
		t->max_webhooks = (uint32_t)n;
	else if (hl_str_eq(name, HL_STR("max_enabled_alerts")))
		t->max_enabled_alerts = (uint32_t)n;
	else
		return false;
	return true;
}

static int parse_entry(struct hl_str entry, struct hl_tier *t, struct hl_err *err)
{
	struct hl_str items = entry, name = hl_str_trim(hl_str_split(&items, ':'));
	memset(t, 0, sizeof(*t));
	if (!name_ok(name))
		return hl_err_set(err, HL_EINVAL, "tier \"%.*s\": a name is 1 to %d of A-Z a-z 0-9 _ . -", HL_FMT(name),
				HL_TIER_NAME_MAX);
	memcpy(t->name, name.ptr, name.len);
	while (items.ptr) {
		struct hl_str item = hl_str_trim(hl_str_split(&items, ','));
		if (item.len && !parse_item(item, t))
			return hl_err_set(err, HL_EINVAL, "tier %s: \"%.*s\" is none of webhooks, batch, rpm=N, max_webhooks=N, "
					"max_enabled_alerts=N", t->name, HL_FMT(item));
	}
	return HL_OK;
}

int hl_tiers_parse(struct hl_str text, struct hl_tiers *out, struct hl_err *err)
{
	struct hl_tiers t = { .n = 0 };
	while (text.ptr) {
		struct hl_str entry = hl_str_trim(hl_str_split(&text, ';'));
		if (!entry.len)
			continue;
		if (t.n == HL_TIERS_MAX)
			return hl_err_set(err, HL_EINVAL, "more than %d tiers", HL_TIERS_MAX);
		int rc = parse_entry(entry, &t.list[t.n], err);
		if (rc)
			return rc;
		if (t.n && hl_tiers_find(&t, hl_str_from(t.list[t.n].name)))
			return hl_err_set(err, HL_EINVAL, "tier %s is given twice", t.list[t.n].name);
		t.n++;
	}
	if (!t.n)
		return hl_err_set(err, HL_EINVAL, "no tier is named");
	*out = t;
	return HL_OK;
}

const struct hl_tier *hl_tiers_find(const struct hl_tiers *t, struct hl_str name)
{
	if (!name.len)
		return &t->list[0];
	for (size_t i = 0; i < t->n; i++)
		if (hl_str_eq(hl_str_from(t->list[i].name), name))
			return &t->list[i];
	return NULL;
}
