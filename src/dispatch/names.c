/* The texts of the public enums, and back. Both directions come from the tables of the public headers; a value outside
 * its enum (from an older or newer store) has the text "?". */
#include "base/defs.h"
#include "base/str.h"
#include <hookline/event.h>

#define HL_X2(number, name, text) [number] = text,
#define HL_X3(number, name, text, sentence) [number] = text,
#define HL_X4(number, name, text, sentence) [number] = sentence,
static const char *const dialects[] = { HL_DIALECT_TABLE(HL_X2) };
static const char *const formats[] = { HL_FORMAT_TABLE(HL_X2) };
static const char *const webhook_states[] = { HL_WEBHOOK_STATE_TABLE(HL_X2) };
static const char *const retries[] = { HL_RETRY_TABLE(HL_X2) };
static const char *const delivery_states[] = { HL_DELIVERY_STATE_TABLE(HL_X2) };
static const char *const triggers[] = { HL_TRIGGER_TABLE(HL_X2) };
static const char *const classes[] = { HL_CLASS_TABLE(HL_X3) };
static const char *const sentences[] = { HL_CLASS_TABLE(HL_X4) };
#undef HL_X2
#undef HL_X3
#undef HL_X4

static const char *name_of(const char *const *names, size_t n, unsigned value)
{
	return value < n ? names[value] : "?";
}

static int value_of(const char *const *names, size_t n, struct hl_str text)
{
	for (size_t i = 0; i < n; i++) {
		if (hl_str_eq(text, hl_str_from(names[i])))
			return (int)i;
	}
	return -1;
}

const char *hl_dialect_name(enum hl_dialect d)
{
	return name_of(dialects, HL_ARRAY_LEN(dialects), d);
}

const char *hl_format_name(enum hl_format f)
{
	return name_of(formats, HL_ARRAY_LEN(formats), f);
}

const char *hl_webhook_state_name(enum hl_webhook_state s)
{
	return name_of(webhook_states, HL_ARRAY_LEN(webhook_states), s);
}

const char *hl_retry_name(enum hl_retry_kind k)
{
	return name_of(retries, HL_ARRAY_LEN(retries), k);
}

const char *hl_delivery_state_name(enum hl_delivery_state s)
{
	return name_of(delivery_states, HL_ARRAY_LEN(delivery_states), s);
}

const char *hl_trigger_name(enum hl_trigger t)
{
	return name_of(triggers, HL_ARRAY_LEN(triggers), t);
}

const char *hl_class_name(enum hl_class c)
{
	return name_of(classes, HL_ARRAY_LEN(classes), c);
}

const char *hl_class_sentence(enum hl_class c)
{
	return name_of(sentences, HL_ARRAY_LEN(sentences), c);
}

int hl_dialect_parse(struct hl_str text)
{
	return value_of(dialects, HL_ARRAY_LEN(dialects), text);
}

int hl_format_parse(struct hl_str text)
{
	return value_of(formats, HL_ARRAY_LEN(formats), text);
}

int hl_retry_parse(struct hl_str text)
{
	return value_of(retries, HL_ARRAY_LEN(retries), text);
}

int hl_delivery_state_parse(struct hl_str text)
{
	return value_of(delivery_states, HL_ARRAY_LEN(delivery_states), text);
}
