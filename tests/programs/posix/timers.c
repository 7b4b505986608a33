/* Timers that send signals. */
#include <pthread.h>
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

static volatile sig_atomic_t count;
static volatile siginfo_t seen;

static void handler(int signal, siginfo_t *info, void *context)
{
	count++;
	*(siginfo_t *)&seen = *info;
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
}
