/* Threads that others end: at calls, while they wait. */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <time.h>
#include "check.h"

static sem_t ready, never;
static int cleaned, ends[2];

static void cleans(void *argument)
{
	cleaned += (int)(intptr_t)argument;
}

static void *waits(void *argument)
{
	char byte;
	struct timespec long_time = { .tv_sec = 1000 };
	pthread_cleanup_push(cleans, (void *)1);
	sem_post(&ready);
	switch ((int)(intptr_t)argument) {
	case 0:
		sem_wait(&never);
		break;
	case 1:
		nanosleep(&long_time, 0);
		break;
	case 2:
		read(ends[0], &byte, 1);
		break;
	case 3:
		for (;;) {
			pthread_testcancel();
			sched_yield();
		}
	}
	pthread_cleanup_pop(0);
	return 0;
}

static void *refuses(void *argument)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	CHECK(state == PTHREAD_CANCEL_ENABLE);
	sem_post(&ready);
	struct timespec a_little = { .tv_nsec = 5000000 };
	while (nanosleep(&a_little, &a_little))
		;
	pthread_testcancel();
	cleaned++;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, 0);
	pthread_testcancel();
	CHECK(!"it was asked to end");
	return 0;
}

void test_cancellation(void)
{
	sem_init(&ready, 0, 0);
	sem_init(&never, 0, 0);
	CHECK(!pipe(ends));
	for (int kind = 0; kind < 5; kind++) {
		pthread_t thread;
		void *result = 0;
		cleaned = 0;
		CHECK(!pthread_create(&thread, 0, kind < 4 ? waits : refuses, (void *)(intptr_t)kind));
		sem_wait(&ready);
		/* Let it get to where it waits, sometimes. */
		if (kind != 2)
			sched_yield();
		CHECK(!pthread_cancel(thread));
		CHECK(!pthread_join(thread, &result));
		CHECK(result == PTHREAD_CANCELED && cleaned == 1);
	}
	close(ends[0]);
	close(ends[1]);
}
