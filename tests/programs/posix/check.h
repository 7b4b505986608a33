/* Checks that say where they failed; the program's result is the number of failures. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern _Atomic int failures;

#define CHECK(condition) \
	do { \
		int saved_errno = errno; \
		if (!(condition)) { \
			failures++; \
			printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, saved_errno); \
		} \
	} while (0)

/* A call that fails with an error number. */
#define FAILS(call, error) \
	do { \
		errno = 0; \
		CHECK((call) == -1 && errno == (error)); \
	} while (0)

void test_threads(void);
void test_cancellation(void);
void test_signals(void);
void test_timers(void);
void test_system(void);
void test_files(void);
void test_descriptors(void);
void test_traps(void);
void test_mappings(void);
void test_exhaustion(void);
void test_faults(void);
