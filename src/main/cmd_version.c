/* hookline version: ours, and the libraries as they were found at run time. */
#include "main/cmd.h"

#include "base/defs.h"
#include <openssl/crypto.h>
#include <stdio.h>
#include <uv.h>

int hl_cmd_version(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return hl_cmd_usage("version", "takes no argument");
	printf("hookline %s\n", HL_VERSION);
	printf("libuv %s\n%s\n", uv_version_string(), OpenSSL_version(OPENSSL_VERSION));
	return HL_EXIT_OK;
}
