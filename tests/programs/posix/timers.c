/* Timers that send signals. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include "check.h"

/* One clock: whoever asks for the time sees that it was set. */
static void clock_is_set(void)
{
	struct timespec now, next;
	struct stat status;
	CHECK(!clock_gettime(CLOCK_REALTIME, &now));
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	struct itimerspec soon = { .it_value = { .tv_sec = now.tv_sec + 9000 } };
	CHECK(fd >= 0 && !timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &soon, 0));
	next = now;
	next.tv_sec += 10000;
	CHECK(!clock_settime(CLOCK_REALTIME, &next));
	unsigned long long count;
	FAILS(read(fd, &count, sizeof count), ECANCELED);
	CHECK(read(fd, &count, sizeof count) == 8 && count == 1);
	close(fd);
	fd = open("/tmp/new", O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0 && !fstat(fd, &status) && status.st_mtime >= next.tv_sec && !close(fd));
	CHECK(!unlink("/tmp/new") && time(0) >= next.tv_sec);
	long boot = 0;
	char line[200];
	FILE *file = fopen("/proc/stat", "r");
	while (file && fgets(line, sizeof line, file))
		sscanf(line, "btime %ld", &boot);
	if (file)
		fclose(file);
	/* The guest has not been running for that long. */
	CHECK(boot > now.tv_sec);
	CHECK(!clock_settime(CLOCK_REALTIME, &now));
}

static struct timespec hour;
static void *sleeps_until(void *argument)
{
	CHECK(!clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &hour, 0));
	return 0;
}

static pthread_mutex_t taken;
static void *waits_until(void *argument)
{
	CHECK(pthread_mutex_timedlock(&taken, &hour) == ETIMEDOUT);
	return 0;
}

/* Whoever waits for a time of the wall clock goes on when the clock is set to a later one. */
static void waits_end_when_the_clock_is_set(void)
{
	struct timespec now, later;
	pthread_t sleeper, waiter;
	pthread_mutexattr_t kind;
	sigset_t set, old;
	siginfo_t info;
	timer_t timer;
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
	CHECK(!pthread_mutex_init(&taken, &kind) && !pthread_mutex_lock(&taken));
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &old);
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	CHECK(!clock_gettime(CLOCK_REALTIME, &now));
	hour = later = now;
	hour.tv_sec += 3600;
	later.tv_sec += 7200;
	struct itimerspec at = { .it_value = hour }, left, lasts = { .it_value.tv_sec = 3600 };
	CHECK(!timer_create(CLOCK_REALTIME, &event, &timer));
	CHECK(!timer_settime(timer, TIMER_ABSTIME, &at, 0));
	CHECK(!pthread_create(&sleeper, 0, sleeps_until, 0));
	CHECK(!pthread_create(&waiter, 0, waits_until, 0));
	/* They wait by then, or see at once that it is over. */
	usleep(20000);
	CHECK(!clock_settime(CLOCK_REALTIME, &later));
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN);
	CHECK(!pthread_join(sleeper, 0) && !pthread_join(waiter, 0));
	CHECK(!clock_settime(CLOCK_REALTIME, &now));
	/* A duration is one. */
	CHECK(!timer_settime(timer, 0, &lasts, 0) && !clock_settime(CLOCK_REALTIME, &later));
	CHECK(!timer_gettime(timer, &left) && left.it_value.tv_sec >= 3500);
	CHECK(!clock_settime(CLOCK_REALTIME, &now) && !timer_delete(timer));
	sigprocmask(SIG_SETMASK, &old, 0);
	pthread_mutex_unlock(&taken);
	FAILS(timer_create(CLOCK_MONOTONIC_RAW, &event, &timer), EOPNOTSUPP);
}

static volatile sig_atomic_t count;
static volatile siginfo_t seen;

static void handler(int signal, siginfo_t *info, void *context)
{
	count++;
	*(siginfo_t *)&seen = *info;
}

static long long nanoseconds(clockid_t clock)
{
	struct timespec time;
	CHECK(!clock_gettime(clock, &time));
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void *looks_at_clock(void *argument)
{
	clockid_t clock;
	CHECK(!pthread_getcpuclockid(pthread_self(), &clock));
	CHECK(nanoseconds(clock) <= nanoseconds(CLOCK_THREAD_CPUTIME_ID));
	*(int *)argument = nanoseconds(clock) < nanoseconds(CLOCK_PROCESS_CPUTIME_ID) / 2;
	return 0;
}

/* The process's time is that of work, not of sleep. */
static void cpu_time(void)
{
	const long long time = 30000000;
	struct timespec nap = { .tv_nsec = time };
	pthread_t thread;
	int slept = 0;
	/* The machine may be taken away at any time, but not each time for so long. */
	for (int i = 0; i < 50 && !slept; i++) {
		long long before = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
		CHECK(!nanosleep(&nap, 0));
		slept = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - before < time / 2;
	}
	CHECK(slept);
	long long before = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), start = nanoseconds(CLOCK_MONOTONIC);
	clock_t ticks = clock();
	struct itimerval value = { .it_value.tv_usec = time / 2000 };
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	CHECK(!sigaction(SIGPROF, &action, 0));
	count = 0;
	CHECK(!setitimer(ITIMER_PROF, &value, 0));
	while (nanoseconds(CLOCK_MONOTONIC) < start + time || !count)
		sched_yield();
	CHECK(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - before >= time);
	CHECK(clock() - ticks >= time / 1000);
	CHECK(nanoseconds(CLOCK_THREAD_CPUTIME_ID) > 0);
	/* A thread that just began has used little, if that is measured. */
	int own = 0;
	for (int i = 0; i < 20 && !own; i++)
		CHECK(!pthread_create(&thread, 0, looks_at_clock, &own) && !pthread_join(thread, 0));
	if (own)
		puts("threads have clocks of their own");
	clockid_t clock;
	FAILS(clock_gettime((~(clockid_t)4000000 << 3) | 6, &nap), EINVAL);
	CHECK(!clock_getcpuclockid(0, &clock) && nanoseconds(clock) >= before);
}

static sem_t called;
static void notified(union sigval value)
{
	CHECK(value.sival_int == 77);
	sem_post(&called);
}

/* Timers and counters that are read. */
static void files(void)
{
	uint64_t value = 0;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), counter = eventfd(0, EFD_NONBLOCK);
	CHECK(timer >= 0 && counter >= 0);
	struct itimerspec spec = { .it_value.tv_nsec = 2000000, .it_interval.tv_nsec = 1000000 }, now;
	CHECK(!timerfd_settime(timer, 0, &spec, 0));
	CHECK(!timerfd_gettime(timer, &now) && now.it_interval.tv_nsec == 1000000);
	struct pollfd both[] = { { timer, POLLIN }, { counter, POLLIN } };
	CHECK(poll(both, 2, -1) == 1 && both[0].revents == POLLIN && !both[1].revents);
	CHECK(read(timer, &value, sizeof value) == sizeof value && value >= 1);
	FAILS(read(counter, &value, sizeof value), EAGAIN);
	CHECK(write(counter, &(uint64_t){ 40 }, sizeof value) == sizeof value);
	CHECK(write(counter, &(uint64_t){ 2 }, sizeof value) == sizeof value);
	CHECK(poll(both + 1, 1, -1) == 1 && both[1].revents == POLLIN);
	CHECK(read(counter, &value, sizeof value) == sizeof value && value == 42);
	FAILS(timerfd_settime(counter, 0, &spec, 0), EINVAL);
	CHECK(!close(timer) && !close(counter));
}

/* Timers that expire all the time leave the program its own, and what was missed is counted. */
static void very_short_intervals(void)
{
	struct itimerval fast = { { 0, 1 }, { 0, 1 } }, off = { 0 };
	count = 0;
	CHECK(!setitimer(ITIMER_REAL, &fast, 0));
	volatile unsigned work = 0;
	for (int i = 0; i < 1000; i++) {
		/* Without preemption the thread of the timers runs when the program lets it. */
		sched_yield();
		for (int j = 0; j < 1000; j++)
			work++;
	}
	CHECK(!setitimer(ITIMER_REAL, &off, 0));
	CHECK(work == 1000000 && count > 0);

	sigset_t set, old;
	siginfo_t info;
	timer_t timer;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &old);
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec spec = { { 0, 1 }, { 0, 1 } };
	struct timespec nap = { .tv_nsec = 5000000 }, zero = { 0 };
	CHECK(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	CHECK(!timer_settime(timer, 0, &spec, 0) && !nanosleep(&nap, 0));
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_overrun >= 5000000);
	CHECK(timer_getoverrun(timer) == info.si_overrun && !timer_delete(timer));
	while (sigtimedwait(&set, 0, &zero) > 0)
		;
	sigprocmask(SIG_SETMASK, &old, 0);
}

void test_timers(void)
{
	files();
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	CHECK(!sigaction(SIGALRM, &action, 0) && !sigaction(SIGRTMIN, &action, 0));
	sigset_t alarms, old, none;
	sigemptyset(&none);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigaddset(&alarms, SIGRTMIN);
	/* Nothing is lost between looking and waiting. */
	sigprocmask(SIG_BLOCK, &alarms, &old);

	struct itimerval interval = { .it_value.tv_usec = 2000, .it_interval.tv_usec = 2000 }, was;
	CHECK(!setitimer(ITIMER_REAL, &interval, 0));
	while (count < 3)
		sigsuspend(&none);
	CHECK(!getitimer(ITIMER_REAL, &was) && was.it_interval.tv_usec == 2000);
	CHECK(was.it_value.tv_usec <= 2000);
	struct itimerval off = { 0 };
	CHECK(!setitimer(ITIMER_REAL, &off, &was) && was.it_interval.tv_usec == 2000);
	FAILS(setitimer(9, &off, 0), EINVAL);
	struct timespec zero = { 0 };
	while (sigtimedwait(&alarms, 0, &zero) > 0)
		;

	CHECK(alarm(100) == 0);
	unsigned left = alarm(0);
	CHECK(left == 100 || left == 99);

	timer_t timer;
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 5,
	};
	CHECK(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	struct itimerspec spec = { .it_value.tv_nsec = 1000000 }, current;
	count = 0;
	CHECK(!timer_settime(timer, 0, &spec, 0));
	while (!count)
		sigsuspend(&none);
	CHECK(seen.si_code == SI_TIMER && seen.si_value.sival_int == 5);
	CHECK(!timer_gettime(timer, &current) && current.it_value.tv_nsec == 0);
	/* Expirations of a pending signal are counted. */
	spec.it_interval.tv_nsec = 1000000;
	CHECK(!timer_settime(timer, 0, &spec, 0));
	struct timespec nap = { .tv_nsec = 20000000 };
	nanosleep(&nap, 0);
	siginfo_t info;
	CHECK(sigwaitinfo(&alarms, &info) == SIGRTMIN);
	CHECK(info.si_overrun > 0 && timer_getoverrun(timer) == info.si_overrun);
	CHECK(!timer_delete(timer));
	FAILS(timer_gettime(timer, &current), EINVAL);
	while (sigtimedwait(&alarms, 0, &zero) > 0)
		;

	/* An absolute time, of the wall clock. */
	CHECK(!timer_create(CLOCK_REALTIME, &event, &timer));
	clock_gettime(CLOCK_REALTIME, &spec.it_value);
	spec.it_interval.tv_nsec = 0;
	CHECK(!timer_settime(timer, TIMER_ABSTIME, &spec, 0));
	CHECK(sigwaitinfo(&alarms, &info) == SIGRTMIN);
	CHECK(!timer_delete(timer));
	sigprocmask(SIG_SETMASK, &old, 0);

	very_short_intervals();
	sem_init(&called, 0, 0);
	struct sigevent by_thread = {
		.sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = notified,
		.sigev_value.sival_int = 77,
	};
	spec = (struct itimerspec){ .it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 1000000 };
	CHECK(!timer_create(CLOCK_MONOTONIC, &by_thread, &timer));
	CHECK(!timer_settime(timer, 0, &spec, 0));
	sem_wait(&called);
	sem_wait(&called);
	CHECK(!timer_delete(timer));
	clock_is_set();
	waits_end_when_the_clock_is_set();
	cpu_time();
}
