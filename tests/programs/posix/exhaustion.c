/* What calls do when there is no memory left: they fail or succeed, and the program goes on. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include "check.h"

#define PAGE 4096

/* Takes all memory there is, and keeps it in a list. */
static void *take_all(void)
{
	void *list = 0;
	for (size_t size = 1 << 20; size >= sizeof list; size /= 2)
		for (void **block; (block = malloc(size)); list = block)
			*block = list;
	return list;
}

static void give_all(void *list)
{
	while (list) {
		void *next = *(void **)list;
		free(list);
		list = next;
	}
}

static void *nothing(void *argument) { return argument; }

static volatile sig_atomic_t handled;
static void handler(int signal) { handled++; }

/* A call either succeeds or says that there is no memory, in one of the ways that its page has. */
#define ENDS(result, success) \
	do { \
		errno = 0; \
		long got = (long)(result); \
		CHECK((success) || errno == ENOMEM || errno == EAGAIN || errno == ENOSPC); \
	} while (0)

/* Waiting for files that are watched takes no memory, watching more may fail. */
static void watching(int watched)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 1 }, events[64];
	int ends[2] = { -1, -1 }, kinds[3] = { eventfd(1, 0), timerfd_create(CLOCK_MONOTONIC, 0), epoll_create1(0) };

	ENDS(pipe(ends), got < 0 || got == 0);
	for (int i = 0; i < 3; i++)
		if (kinds[i] >= 0)
			ENDS(epoll_ctl(watched, EPOLL_CTL_ADD, kinds[i], &event), !got);
	if (ends[0] >= 0)
		ENDS(epoll_ctl(watched, EPOLL_CTL_ADD, ends[0], &event), !got);
	CHECK(epoll_wait(watched, events, 64, 0) >= 1);
	CHECK(epoll_wait(watched, events, 1 << 20, 0) >= 1);
	for (int i = 0; i < 3; i++)
		if (kinds[i] >= 0)
			CHECK(!close(kinds[i]));
	if (ends[0] >= 0)
		CHECK(!close(ends[0]) && !close(ends[1]));
	CHECK(epoll_wait(watched, events, 64, 0) == 1 && events[0].data.u32 == 7);
}

static void calls(char *mapped, int watched)
{
	pthread_t thread;
	struct itimerspec spec = { .it_value = { .tv_sec = 100 } };
	struct itimerval value = { .it_value = { .tv_sec = 100 } }, off = { 0 };
	struct sigaction action = { .sa_handler = handler };
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	struct timespec soon;
	sigset_t set, old;
	timer_t timer;
	int ends[2];

	for (int i = 0; i < 3; i++) {
		int error = pthread_create(&thread, 0, nothing, 0);
		CHECK(!error || error == EAGAIN);
		if (!error)
			CHECK(!pthread_join(thread, 0));
	}
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 5000000;
	if (soon.tv_nsec >= 1000000000)
		soon.tv_sec++, soon.tv_nsec -= 1000000000;
	pthread_mutex_lock(&mutex);
	CHECK(pthread_cond_timedwait(&condition, &mutex, &soon) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(!sigaction(SIGUSR1, &action, 0) && !sigprocmask(SIG_BLOCK, &set, &old));
	/* A signal that is not queued is pending in any case, or there was no room for what it tells. */
	CHECK(!kill(getpid(), SIGUSR1) && !sigprocmask(SIG_SETMASK, &old, 0));
	int timer_made = !timer_create(CLOCK_MONOTONIC, 0, &timer);
	CHECK(timer_made || errno == EAGAIN);
	if (timer_made) {
		ENDS(timer_settime(timer, 0, &spec, 0), !got);
		CHECK(!timer_delete(timer));
	}
	ENDS(setitimer(ITIMER_REAL, &value, 0), !got);
	setitimer(ITIMER_REAL, &off, 0);

	/* A page in the middle needs room for the parts around it, the whole needs none. */
	ENDS(munmap(mapped + 8 * PAGE, PAGE), !got);
	ENDS(mprotect(mapped + 2 * PAGE, PAGE, PROT_READ), !got);
	CHECK(!munmap(mapped, 16 * PAGE));

	for (int i = 0; i < 4; i++) {
		ENDS(open("/tmp/exhausted", O_CREAT | O_RDWR, 0600), got >= 0 && !close(got));
		ENDS(open("/dev/null", O_RDWR), got >= 0 && !close(got));
		ENDS(pipe(ends), got < 0 || (!close(ends[0]) && !close(ends[1])));
		ENDS(eventfd(0, 0), got >= 0 && !close(got));
		ENDS(epoll_create1(0), got >= 0 && !close(got));
		ENDS(timerfd_create(CLOCK_REALTIME, 0), got >= 0 && !close(got));
		ENDS(mmap(0, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			(void *)got != MAP_FAILED && !munmap((void *)got, 1 << 20));
		ENDS(mkdir("/tmp/folder", 0700), !got && !rmdir("/tmp/folder"));
	}
	unlink("/tmp/exhausted");
	for (int i = 0; i < 40; i++)
		watching(watched);
}

/* A mutex that another thread has, and gives back when it is waited for. */
static pthread_mutex_t owned;
static pthread_barrier_t taken;
static void *owns(void *argument)
{
	pthread_mutex_lock(&owned);
	pthread_barrier_wait(&taken);
	/* All memory is taken by then. */
	pthread_barrier_wait(&taken);
	usleep(20000);
	pthread_mutex_unlock(&owned);
	return 0;
}

/* Waiting for a mutex takes no memory, also where the system is told who owns it. */
static void waits_for_an_owner(void)
{
	pthread_mutexattr_t kind;
	pthread_t owner;
	struct timespec late;
	pthread_mutexattr_init(&kind);
	CHECK(!pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT));
	CHECK(!pthread_mutex_init(&owned, &kind) && !pthread_barrier_init(&taken, 0, 2));
	CHECK(!pthread_create(&owner, 0, owns, 0));
	pthread_barrier_wait(&taken);
	void *all = take_all();
	pthread_barrier_wait(&taken);
	clock_gettime(CLOCK_REALTIME, &late);
	late.tv_sec += 20;
	CHECK(!pthread_mutex_timedlock(&owned, &late));
	give_all(all);
	pthread_mutex_unlock(&owned);
	CHECK(!pthread_join(owner, 0));
}

void test_exhaustion(void)
{
	waits_for_an_owner();
	char *mapped = mmap(0, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mapped != MAP_FAILED);
	int watched = epoll_create1(0), ready = eventfd(1, 0);
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 7 };
	CHECK(!epoll_ctl(watched, EPOLL_CTL_ADD, ready, &event));
	void *all = take_all();
	CHECK(all && !malloc(1 << 16));
	calls(mapped, watched);
	give_all(all);
	CHECK(!close(watched) && !close(ready));
	/* All of it is there again. */
	pthread_t thread;
	CHECK(!pthread_create(&thread, 0, nothing, 0) && !pthread_join(thread, 0));
	void *block = malloc(1 << 20);
	CHECK(block);
	free(block);
}
