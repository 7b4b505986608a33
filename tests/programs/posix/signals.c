/* Signals within the process. */
#include <fcntl.h>
#include <fenv.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include "check.h"

static volatile sig_atomic_t count, last, nested;
static volatile siginfo_t seen;
static volatile uintptr_t where;

static void handler(int signal)
{
	char here;
	where = (uintptr_t)&here;
	count++;
	last = signal;
}

static void with_info(int signal, siginfo_t *info, void *context)
{
	handler(signal);
	*(siginfo_t *)&seen = *info;
	sigset_t *mask = &((ucontext_t *)context)->uc_sigmask;
	CHECK(!sigismember(mask, signal));
}

static void handle(int signal, void *function, int flags)
{
	struct sigaction action = { .sa_flags = flags };
	if (flags & SA_SIGINFO)
		action.sa_sigaction = function;
	else
		action.sa_handler = function;
	CHECK(!sigaction(signal, &action, 0));
	count = last = 0;
}

static sigset_t set_of(int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	return set;
}

static void block(int how, int signal)
{
	sigset_t set = set_of(signal);
	CHECK(!sigprocmask(how, &set, 0));
}

/* Raises itself from inside: once more, as the signal is blocked then or not. */
static void raises_again(int signal)
{
	int before = nested++;
	if (before == 0) {
		raise(signal);
		count = nested;
	}
}

/* Contexts have the mask of signals and the mode of rounding of whoever made them. */
static ucontext_t ours, its;
static _Alignas(16) char stack_of_context[16 << 10];
static int in_context;
static void context(int argument)
{
	sigset_t mask;
	in_context = argument + fegetround();
	CHECK(!sigprocmask(SIG_BLOCK, 0, &mask) && sigismember(&mask, SIGUSR2));
	double of_its_own = 1.0 / argument;
	CHECK(!swapcontext(&its, &ours) && of_its_own * argument == 1.0);
	in_context = -1;
}

static void contexts(void)
{
	sigset_t mask, old;
	int returned = 0;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, &mask, &old) && !fesetround(FE_UPWARD) && !getcontext(&its));
	CHECK(!sigprocmask(SIG_SETMASK, &old, 0) && !fesetround(FE_TONEAREST));
	its.uc_stack.ss_sp = stack_of_context;
	its.uc_stack.ss_size = sizeof stack_of_context;
	its.uc_link = &ours;
	makecontext(&its, (void (*)(void))context, 1, 4);
	CHECK(!swapcontext(&ours, &its) && in_context == 4 + FE_UPWARD && fegetround() == FE_TONEAREST);
	CHECK(!sigprocmask(SIG_BLOCK, 0, &mask) && !sigismember(&mask, SIGUSR2));
	CHECK(!swapcontext(&ours, &its) && in_context == -1);
	volatile int rounds = 0;
	CHECK(!getcontext(&ours));
	if (rounds++ < 3)
		setcontext(&ours);
	returned = rounds;
	CHECK(returned == 4);
}

static void delivery(void)
{
	handle(SIGUSR1, handler, 0);
	CHECK(!raise(SIGUSR1) && count == 1 && last == SIGUSR1);
	CHECK(!kill(getpid(), SIGUSR1) && count == 2);
	CHECK(!kill(0, 0) && !tgkill(1, 1, SIGUSR1) && count == 3);
	FAILS(kill(2, 0), ESRCH);
	FAILS(tgkill(2, 1, SIGUSR1), ESRCH);
	FAILS(kill(1, 65), EINVAL);
	FAILS(syscall(SYS_tkill, 999, SIGUSR1), ESRCH);

	handle(SIGUSR2, with_info, SA_SIGINFO);
	union sigval value = { .sival_int = 42 };
	CHECK(!sigqueue(getpid(), SIGUSR2, value));
	CHECK(count == 1 && seen.si_code == SI_QUEUE && seen.si_value.sival_int == 42);
	CHECK(!raise(SIGUSR2) && seen.si_code == SI_TKILL && seen.si_pid == 1);

	handle(SIGUSR1, handler, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction now;
	CHECK(!sigaction(SIGUSR1, 0, &now) && now.sa_handler == SIG_DFL);

	handle(SIGUSR1, raises_again, 0);
	nested = 0;
	raise(SIGUSR1);
	CHECK(count == 1 && nested == 2);
	handle(SIGUSR1, raises_again, SA_NODEFER);
	nested = 0;
	raise(SIGUSR1);
	CHECK(count == 2 && nested == 2);

	/* Ignored, and what does nothing by default. */
	CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR && !raise(SIGUSR1));
	CHECK(!raise(SIGCHLD) && !raise(SIGTSTP));
	FAILS(sigaction(SIGKILL, &now, 0), EINVAL);
	CHECK(!sigaction(SIGKILL, 0, &now));
}

static void masks(void)
{
	sigset_t pending, old;
	handle(SIGUSR1, handler, 0);
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK(count == 0 && !sigpending(&pending) && sigismember(&pending, SIGUSR1));
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(count == 1);
	CHECK(!sigpending(&pending) && !sigismember(&pending, SIGUSR1));

	/* Real-time signals are queued, and the smallest number comes first. */
	handle(SIGRTMIN, with_info, SA_SIGINFO);
	handle(SIGRTMIN + 1, with_info, SA_SIGINFO);
	block(SIG_BLOCK, SIGRTMIN);
	block(SIG_BLOCK, SIGRTMIN + 1);
	for (int i = 0; i < 3; i++) {
		CHECK(!sigqueue(1, SIGRTMIN + 1, (union sigval){ .sival_int = 10 + i }));
		CHECK(!sigqueue(1, SIGRTMIN, (union sigval){ .sival_int = i }));
	}
	int order[6] = { 0 };
	for (int i = 0; i < 6; i++) {
		siginfo_t info;
		sigset_t set = set_of(SIGRTMIN);
		sigaddset(&set, SIGRTMIN + 1);
		CHECK(sigwaitinfo(&set, &info) >= SIGRTMIN);
		order[i] = info.si_value.sival_int;
	}
	int expected[6] = { 0, 1, 2, 10, 11, 12 };
	CHECK(!memcmp(order, expected, sizeof order) && count == 0);

	/* Ignoring a signal forgets it. */
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	CHECK(!sigpending(&pending) && !sigismember(&pending, SIGUSR1));
	block(SIG_UNBLOCK, SIGUSR1);

	/* Blocking what cannot be blocked has no effect. */
	sigfillset(&old);
	CHECK(!sigprocmask(SIG_BLOCK, &old, 0) && !sigprocmask(SIG_SETMASK, 0, &old));
	CHECK(!sigismember(&old, SIGKILL) && !sigismember(&old, SIGSTOP) && sigismember(&old, SIGHUP));
	sigemptyset(&old);
	CHECK(!sigprocmask(SIG_SETMASK, &old, 0));
	FAILS(sigprocmask(9, &old, 0), EINVAL);
}

static void stacks(void)
{
	static char memory[32 << 10];
	stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory }, old;
	CHECK(!sigaltstack(0, &old) && old.ss_flags == SS_DISABLE);
	CHECK(!sigaltstack(&stack, 0));
	handle(SIGUSR1, handler, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(count == 1 && where >= (uintptr_t)memory && where < (uintptr_t)memory + sizeof memory);
	handle(SIGUSR1, handler, 0);
	raise(SIGUSR1);
	CHECK(where < (uintptr_t)memory || where >= (uintptr_t)memory + sizeof memory);
	CHECK(!sigaltstack(0, &old) && old.ss_sp == memory && old.ss_flags == 0);
	stack.ss_size = 100;
	FAILS(sigaltstack(&stack, 0), ENOMEM);
	stack.ss_flags = SS_DISABLE;
	CHECK(!sigaltstack(&stack, 0));
}

static sigjmp_buf jump;
static void jumps(int signal)
{
	siglongjmp(jump, signal);
}

static void jumping(void)
{
	handle(SIGUSR1, jumps, 0);
	for (int i = 0; i < 3; i++) {
		int from = sigsetjmp(jump, 1);
		if (from) {
			CHECK(from == SIGUSR1);
			continue;
		}
		raise(SIGUSR1);
		CHECK(!"the handler does not return");
	}
	sigset_t now;
	CHECK(!sigprocmask(SIG_BLOCK, 0, &now) && !sigismember(&now, SIGUSR1));
}

/* Sends a signal to the first thread, once it waits, or just before. */
static pthread_t first;
static void *sends(void *argument)
{
	struct timespec a_little = { .tv_nsec = 10000000 };
	nanosleep(&a_little, 0);
	CHECK(!pthread_kill(first, (int)(intptr_t)argument));
	return 0;
}

static pthread_t send_soon(int signal)
{
	pthread_t thread;
	sigset_t all, old;
	/* For the first thread alone. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	CHECK(!pthread_create(&thread, 0, sends, (void *)(intptr_t)signal));
	pthread_sigmask(SIG_SETMASK, &old, 0);
	return thread;
}

#define INTERRUPTED(call) \
	do { \
		pthread_t sender = send_soon(SIGUSR1); \
		int before = count; \
		errno = 0; \
		int result = (call); \
		CHECK(result == -1 && errno == EINTR && count == before + 1); \
		CHECK(!pthread_join(sender, 0)); \
	} while (0)

static int ends[2];
static void *writes(void *argument)
{
	struct timespec a_little = { .tv_nsec = 30000000 };
	nanosleep(&a_little, 0);
	CHECK(write(ends[1], "x", 1) == 1);
	return 0;
}

static void *reads_all(void *argument)
{
	char page[4096];
	struct timespec a_little = { .tv_nsec = 30000000 };
	nanosleep(&a_little, 0);
	CHECK(read(ends[0], page, sizeof page) == sizeof page);
	return 0;
}

static void interruption(void)
{
	struct timespec long_time = { .tv_sec = 1000 }, rest = { 0 };
	struct timeval second = { .tv_sec = 1000 };
	sigset_t none;
	sem_t never;
	char byte;
	int epoll = epoll_create1(0);
	struct epoll_event event;
	struct pollfd wanted;
	sigemptyset(&none);
	sem_init(&never, 0, 0);
	first = pthread_self();
	CHECK(!pipe(ends));
	wanted = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	handle(SIGUSR1, handler, 0);
	INTERRUPTED(pause());
	INTERRUPTED(nanosleep(&long_time, &rest));
	CHECK(rest.tv_sec > 900 && rest.tv_sec < 1000);
	INTERRUPTED(read(ends[0], &byte, 1));
	INTERRUPTED(poll(&wanted, 1, -1));
	INTERRUPTED(poll(&wanted, 1, 1000000));
	INTERRUPTED(select(0, 0, 0, 0, &second));
	INTERRUPTED(epoll_wait(epoll, &event, 1, -1));
	INTERRUPTED(sem_wait(&never));

	/* Blocked but for the time of the call. */
	block(SIG_BLOCK, SIGUSR1);
	INTERRUPTED(sigsuspend(&none));
	INTERRUPTED(ppoll(&wanted, 1, 0, &none));
	INTERRUPTED(pselect(0, 0, 0, 0, 0, &none));
	INTERRUPTED(epoll_pwait(epoll, &event, 1, -1, &none));
	sigset_t now;
	CHECK(!sigprocmask(SIG_BLOCK, 0, &now) && sigismember(&now, SIGUSR1));
	raise(SIGUSR1);
	struct timespec zero = { 0 };
	int before = count;
	CHECK(ppoll(&wanted, 1, &zero, 0) == 0 && count == before);
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(count == before + 1);

	/* With SA_RESTART reading goes on. */
	handle(SIGUSR1, handler, SA_RESTART);
	pthread_t sender = send_soon(SIGUSR1), writer;
	CHECK(!pthread_create(&writer, 0, writes, 0));
	CHECK(read(ends[0], &byte, 1) == 1 && byte == 'x');
	pthread_join(writer, 0);
	pthread_join(sender, 0);
	CHECK(count == 1);
	/* So does sending to what is full. */
	char page[4096] = "";
	int source = memfd_create("source", 0), room = 0;
	CHECK(write(source, page, sizeof page) == sizeof page && !lseek(source, 0, SEEK_SET));
	CHECK(!fcntl(ends[1], F_SETFL, O_NONBLOCK));
	while (write(ends[1], page, sizeof page) > 0)
		room++;
	CHECK(!fcntl(ends[1], F_SETFL, 0) && room > 0);
	sender = send_soon(SIGUSR1);
	CHECK(!pthread_create(&writer, 0, reads_all, 0));
	CHECK(sendfile(ends[1], source, 0, 100) == 100);
	pthread_join(writer, 0);
	pthread_join(sender, 0);
	CHECK(count == 2 && !close(source));
	/* But not waiting for a time. */
	INTERRUPTED(nanosleep(&long_time, &rest));
	close(ends[0]);
	close(ends[1]);
	close(epoll);
}

/* Who gets what is sent to the process: a thread that does not block it. */
static sem_t up, end;
static volatile pid_t taker;
static void takes(int signal)
{
	taker = syscall(SYS_gettid);
	count++;
	/* The thread may not wait yet: an interrupted wait alone could be missed. */
	sem_post(&end);
}
static void *stays(void *argument)
{
	sem_post(&up);
	while (!count)
		sem_wait(&end);
	return (void *)(intptr_t)syscall(SYS_gettid);
}

static void threads(void)
{
	pthread_t thread;
	void *id;
	sem_init(&up, 0, 0);
	sem_init(&end, 0, 0);
	handle(SIGUSR1, takes, 0);
	CHECK(!pthread_create(&thread, 0, stays, 0));
	sem_wait(&up);
	block(SIG_BLOCK, SIGUSR1);
	CHECK(!kill(getpid(), SIGUSR1));
	CHECK(!pthread_join(thread, &id));
	CHECK(count == 1 && taker == (pid_t)(intptr_t)id && taker != 1);
	/* A new thread has the mask of the one that made it. */
	sigset_t pending;
	CHECK(!kill(getpid(), SIGUSR1) && count == 1);
	CHECK(!sigpending(&pending) && sigismember(&pending, SIGUSR1));
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(count == 2 && taker == 1);
}

static void files(void)
{
	sigset_t set = set_of(SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	CHECK(!sigprocmask(SIG_BLOCK, &set, 0));
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(fd >= 0);
	struct signalfd_siginfo info[3];
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	FAILS(read(fd, info, sizeof info), EAGAIN);
	FAILS(read(fd, info, 5), EINVAL);
	CHECK(poll(&wanted, 1, 0) == 0);
	sigqueue(1, SIGRTMIN, (union sigval){ .sival_int = 9 });
	raise(SIGUSR1);
	CHECK(poll(&wanted, 1, -1) == 1);
	CHECK(read(fd, info, sizeof info) == 2 * sizeof *info);
	CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_pid == 1);
	CHECK(info[1].ssi_signo == SIGRTMIN && info[1].ssi_int == 9);
	/* Told while it is waited for. */
	pthread_t sender = send_soon(SIGUSR1);
	CHECK(poll(&wanted, 1, -1) == 1 && read(fd, info, sizeof info) == sizeof *info);
	pthread_join(sender, 0);
	struct timespec zero = { 0 };
	FAILS(sigtimedwait(&set, 0, &zero), EAGAIN);
	sender = send_soon(SIGUSR1);
	CHECK(sigtimedwait(&set, 0, 0) == SIGUSR1);
	pthread_join(sender, 0);
	close(fd);
	sigprocmask(SIG_UNBLOCK, &set, 0);

	/* Writing to nobody. */
	CHECK(!pipe(ends));
	close(ends[0]);
	handle(SIGPIPE, handler, 0);
	FAILS(write(ends[1], "x", 1), EPIPE);
	CHECK(count == 1 && last == SIGPIPE);
	signal(SIGPIPE, SIG_IGN);
	FAILS(write(ends[1], "x", 1), EPIPE);
	close(ends[1]);
}

void test_signals(void)
{
	contexts();
	delivery();
	masks();
	stacks();
	jumping();
	interruption();
	threads();
	files();
}
