/* A service on a real store in a directory of its own, without threads and without a dispatcher: the few functions this
 * floor asks of one are defined in service_test.c. */
#ifndef HL_SERVICE_TEST_H
#define HL_SERVICE_TEST_H

#include "dispatch/dispatcher.h"
#include "fakeenv.h"
#include "service/service.h"
#include "store/store.h"
#include "tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct fixture {
	struct tmpdir dir;
	struct fakeenv env;
	struct hl_store *store;
	struct hl_commit *commit;
	struct hl_dispatcher *dispatcher;
	struct hl_service *service;
	/* what the last callback said */
	int n_done;
	int status;
	struct hl_err err;
	bool replayed;
	char secret[HL_KEY_TEXT_CAP];
	char answer[1024];
	union {
		struct hl_account account;
		struct hl_key key;
		struct hl_subject subject;
	};
};

int setup(void **state);      /* opens everything; account default is there */
int teardown(void **state);
void reopen(struct fixture *f);
void step(struct fixture *f); /* commits what was submitted */
/* Callbacks; data is the fixture. */
void on_account(void *data, int status, const struct hl_err *err, const struct hl_change_result *r);
void on_key(void *data, int status, const struct hl_err *err, const struct hl_change_result *r);
void on_subject(void *data, int status, const struct hl_err *err, const struct hl_change_result *r);
void on_other(void *data, int status, const struct hl_err *err, const struct hl_change_result *r);
/* An idempotency key whose answer is "answer:" and the secret. */
struct hl_idempotency once(const char *key, uint8_t fingerprint);

#endif
