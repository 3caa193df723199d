/* Every route of every API as the program has it, one JSON object a line, for tests that must not forget a new one. */
#include "api/call.h"
#include "api/resources.h"

#include <stdio.h>

static void flag(unsigned flags, unsigned bit, const char *name, const char **sep)
{
	if (!(flags & bit))
		return;
	printf("%s\"%s\"", *sep, name);
	*sep = ",";
}

static void print(const struct hl_mount *m, size_t mount, const struct hl_route *r)
{
	const char *sep = "";
	printf("{\"mount\":%zu,\"dialect\":\"%s\",\"credential\":\"%s\",\"prefixes\":[", mount, hl_dialect_name((enum hl_dialect)m->dialect),
			m->documented == HL_CREDENTIAL_API_KEY ? "X-API-Key" : "Authorization");
	for (const char *const *p = m->prefixes; *p; p++)
		printf("%s\"%s\"", p == m->prefixes ? "" : ",", *p);
	printf("],\"method\":\"%s\",\"pattern\":\"%s\",\"scopes\":[", hl_method_name(r->method), r->pattern);
	for (unsigned bit = 1; bit <= HL_SCOPE_ALL; bit <<= 1)
		if (bit & HL_SCOPE_ALL)
			flag(r->scope, bit, hl_scope_name(bit), &sep);
	sep = "";
	printf("],\"flags\":[");
	flag(r->flags, HL_ROUTE_PUBLIC, "public", &sep);
	flag(r->flags, HL_ROUTE_BODY, "body", &sep);
	flag(r->flags, HL_ROUTE_BODY_MAY, "body_may", &sep);
	flag(r->flags, HL_ROUTE_IDEMPOTENT, "idempotent", &sep);
	flag(r->flags, HL_ROUTE_STREAM, "stream", &sep);
	printf("]}\n");
}

int main(void)
{
	for (size_t i = 0; hl_api_mounts[i]; i++)
		for (size_t k = 0; k < hl_router_count(hl_api_mounts[i]); k++)
			print(hl_api_mounts[i], i, hl_router_at(hl_api_mounts[i], k));
	return 0;
}
