/* hookline serve: the command line of the server, and the two ways to look at its configuration without starting it. */
#include "main/cmd.h"

#include "main/confine.h"
#include "main/serve.h"
#include "main/usage.h"

int hl_cmd_serve(int argc, char **argv)
{
	static const struct option options[] = {
		HL_SETUP_OPTIONS,
		{ "takeover", no_argument, NULL, 't' }, { "check-config", no_argument, NULL, 'c' },
		{ "print-config", no_argument, NULL, 'p' }, { "allow-root", no_argument, NULL, 'r' }, { NULL, 0, NULL, 0 },
	};
	struct hl_setup setup = { .n_flags = 0 };
	bool takeover = false, check = false, print = false, allow_root = false;
	for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (opt == 't')
			takeover = true;
		else if (opt == 'c')
			check = true;
		else if (opt == 'p')
			print = true;
		else if (opt == 'r')
			allow_root = true;
		else if (!hl_setup_take(&setup, opt, optarg))
			return hl_cmd_usage("serve", "unknown option");
	}
	if (optind < argc && !hl_setup_take_dir(&setup, argv[optind++]))
		return hl_cmd_usage("serve", "the data directory is given twice");
	if (optind < argc)
		return hl_cmd_usage("serve", "\"%s\": one data directory is enough", argv[optind]);
	struct hl_config config;
	struct hl_err err = { 0 };
	if (hl_setup_config(&setup, &config, &err))
		return hl_cmd_fail(HL_EXIT_CONFIG, "%s", err.text);
	int code = HL_EXIT_OK;
	struct hl_seed seed = { .n = 0 };
	if (print)
		hl_usage_config(stdout, &config);
	else if (hl_seed_read(&seed, config.event_types, &err))
		code = hl_cmd_fail(HL_EXIT_CONFIG, "%s", err.text);
	else if (check)
		puts("the configuration is right");
	else if (hl_confine_admit(&config, allow_root, &err))
		code = hl_cmd_fail(HL_EXIT_UNSAFE, "%s", err.text);
	else
		code = hl_serve(&setup, &config, &seed, takeover);
	hl_seed_fini(&seed);
	hl_config_fini(&config);
	return code;
}
