/* POSIX threads and what they wait for. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include "check.h"

#define THREADS 8
#define ROUNDS 500

static _Thread_local int local = 7;
static _Thread_local _Alignas(64) char aligned[64];

static void *returns(void *argument)
{
	CHECK(local == 7);
	local = (int)(intptr_t)argument;
	sched_yield();
	CHECK(local == (int)(intptr_t)argument);
	char *volatile place = aligned;
	place[0] = 1;
	CHECK((uintptr_t)place % 64 == 0);
	/* What takes vector registers: the stack must be aligned as the ABI says. */
	char text[64];
	snprintf(text, sizeof text, "%g", local / 2.0);
	CHECK(atof(text) == local / 2.0);
	return (char *)argument + 1;
}

static void create_and_join(void)
{
	pthread_t threads[THREADS];
	for (intptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], 0, returns, (void *)(i * 10)));
	for (intptr_t i = 0; i < THREADS; i++) {
		void *result = 0;
		CHECK(!pthread_join(threads[i], &result));
		CHECK(result == (void *)(i * 10 + 1));
	}
	CHECK(local == 7);
}

/* Stacks are given back: many more threads than there is memory for at once. */
static sem_t ended;
static void *ends(void *argument)
{
	sem_post(&ended);
	return 0;
}

static void detached(void)
{
	pthread_attr_t attributes;
	CHECK(!sem_init(&ended, 0, 0));
	CHECK(!pthread_attr_init(&attributes));
	CHECK(!pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
	CHECK(!pthread_attr_setstacksize(&attributes, 256 << 10));
	int made = 0;
	for (int i = 0; i < 300; i++) {
		pthread_t thread;
		int error;
		/* The one before may still be about to end. */
		while ((error = pthread_create(&thread, &attributes, ends, 0)) == EAGAIN)
			sched_yield();
		made += !error;
		while (sem_wait(&ended))
			;
	}
	CHECK(made == 300);
	CHECK(EINVAL == pthread_attr_setstacksize(&attributes, 100));
	pthread_attr_destroy(&attributes);
	sem_destroy(&ended);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static long counter, turn, pair[2];

static void *counts(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		long now = counter;
		if (i % 16 == 0)
			sched_yield();
		counter = now + 1;
		pthread_mutex_unlock(&mutex);
	}
	return 0;
}

/* Each in turn: every wake-up counts. */
static void *takes_turns(void *argument)
{
	long me = (long)(intptr_t)argument;
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % THREADS != me)
			pthread_cond_wait(&changed, &mutex);
		turn++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&mutex);
	}
	return 0;
}

static void *reads_and_writes(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		if ((i + (int)(intptr_t)argument) % 4 == 0) {
			pthread_rwlock_wrlock(&rwlock);
			pair[0]++;
			sched_yield();
			pair[1]++;
		} else {
			pthread_rwlock_rdlock(&rwlock);
			CHECK(pair[0] == pair[1]);
		}
		pthread_rwlock_unlock(&rwlock);
	}
	return 0;
}

static _Atomic int leaders, arrived;
static void *meets(void *argument)
{
	for (int i = 0; i < 20; i++) {
		arrived++;
		leaders += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
		CHECK(arrived >= (i + 1) * THREADS);
		pthread_barrier_wait(&barrier);
	}
	return 0;
}

static void together(void *(*function)(void *))
{
	pthread_t threads[THREADS];
	for (intptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], 0, function, (void *)i));
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i], 0));
}

static sem_t items, room;
static long buffer[4], produced, consumed;
static void *produces(void *argument)
{
	for (int i = 1; i <= ROUNDS; i++) {
		sem_wait(&room);
		buffer[produced++ % 4] = i;
		sem_post(&items);
	}
	return 0;
}

static void locks(void)
{
	together(counts);
	CHECK(counter == THREADS * ROUNDS);
	together(takes_turns);
	CHECK(turn == THREADS * 50);
	together(reads_and_writes);
	CHECK(pair[0] == pair[1] && pair[0] == THREADS * ROUNDS / 4);
	CHECK(!pthread_barrier_init(&barrier, 0, THREADS));
	together(meets);
	CHECK(leaders == 20);
	pthread_barrier_destroy(&barrier);

	pthread_t producer;
	sem_init(&items, 0, 0);
	sem_init(&room, 0, 4);
	CHECK(!pthread_create(&producer, 0, produces, 0));
	long sum = 0;
	for (int i = 0; i < ROUNDS; i++) {
		sem_wait(&items);
		sum += buffer[consumed++ % 4];
		sem_post(&room);
	}
	CHECK(sum == (long)ROUNDS * (ROUNDS + 1) / 2);
	CHECK(!pthread_join(producer, 0));

	struct timespec soon;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 5000000;
	if (soon.tv_nsec >= 1000000000)
		soon.tv_sec++, soon.tv_nsec -= 1000000000;
	pthread_mutex_lock(&mutex);
	CHECK(pthread_cond_timedwait(&changed, &mutex, &soon) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	FAILS(sem_timedwait(&items, &soon), ETIMEDOUT);

	pthread_mutexattr_t kind;
	pthread_mutex_t checked;
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&checked, &kind);
	CHECK(!pthread_mutex_lock(&checked));
	CHECK(pthread_mutex_lock(&checked) == EDEADLK);
	CHECK(!pthread_mutex_unlock(&checked));
	CHECK(pthread_mutex_unlock(&checked) == EPERM);
}

/* Mutexes that are told who owns them: the system is asked when there are others. */
static pthread_mutex_t owned;
static void *counts_owned(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(!pthread_mutex_lock(&owned));
		long now = counter;
		if (i % 16 == 0)
			sched_yield();
		counter = now + 1;
		CHECK(!pthread_mutex_unlock(&owned));
	}
	return 0;
}

static void *ends_as_owner(void *argument)
{
	CHECK(!pthread_mutex_lock(&owned));
	sem_post(&items);
	/* Another waits for it by then. */
	usleep(5000);
	return 0;
}

static void *cannot_take_it(void *argument)
{
	struct timespec past = { 1, 0 };
	CHECK(pthread_mutex_trylock(&owned) == EBUSY);
	CHECK(pthread_mutex_timedlock(&owned, &past) == ETIMEDOUT);
	CHECK(pthread_mutex_unlock(&owned) == EPERM);
	return 0;
}

static void owners(int protocol)
{
	pthread_mutexattr_t kind;
	pthread_t thread;
	pthread_mutexattr_init(&kind);
	CHECK(!pthread_mutexattr_setprotocol(&kind, protocol));
	CHECK(!pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK));
	CHECK(!pthread_mutex_init(&owned, &kind));
	counter = 0;
	together(counts_owned);
	CHECK(counter == THREADS * ROUNDS);
	CHECK(!pthread_mutex_lock(&owned));
	CHECK(pthread_mutex_lock(&owned) == EDEADLK);
	CHECK(!pthread_create(&thread, 0, cannot_take_it, 0) && !pthread_join(thread, 0));
	CHECK(!pthread_mutex_unlock(&owned));
	CHECK(!pthread_mutex_destroy(&owned));

	CHECK(!pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST));
	CHECK(!pthread_mutex_init(&owned, &kind));
	sem_init(&items, 0, 0);
	CHECK(!pthread_create(&thread, 0, ends_as_owner, 0));
	while (sem_wait(&items))
		;
	CHECK(pthread_mutex_lock(&owned) == EOWNERDEAD);
	CHECK(!pthread_join(thread, 0));
	CHECK(!pthread_mutex_consistent(&owned) && !pthread_mutex_unlock(&owned));
	CHECK(!pthread_mutex_lock(&owned) && !pthread_mutex_unlock(&owned));
	CHECK(!pthread_mutex_destroy(&owned));
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int made_once, destroyed;
static void makes(void)
{
	made_once++;
}
static void destroys(void *value)
{
	destroyed += value == &key;
}
static void *has_own(void *argument)
{
	pthread_once(&once, makes);
	CHECK(!pthread_getspecific(key));
	CHECK(!pthread_setspecific(key, &key));
	return 0;
}

static pid_t its_id;
static char its_name[16];
static void *tells(void *argument)
{
	its_id = syscall(SYS_gettid);
	prctl(PR_SET_NAME, "teller");
	prctl(PR_GET_NAME, its_name);
	pthread_exit((void *)5);
}

static void identity(void)
{
	CHECK(!pthread_key_create(&key, destroys));
	together(has_own);
	CHECK(made_once == 1 && destroyed == THREADS);
	pthread_key_delete(key);

	pthread_t thread;
	void *result;
	CHECK(!pthread_create(&thread, 0, tells, 0));
	CHECK(!pthread_join(thread, &result) && result == (void *)5);
	CHECK(its_id > 1 && !strcmp(its_name, "teller"));
	CHECK(getpid() == 1 && syscall(SYS_gettid) == 1);
	char mine[16];
	CHECK(!prctl(PR_GET_NAME, mine) && strcmp(mine, "teller"));
	CHECK(pthread_equal(pthread_self(), pthread_self()));

	cpu_set_t cpus;
	CHECK(!sched_getaffinity(0, sizeof cpus, &cpus) && CPU_COUNT(&cpus) >= 1);
	CHECK(!sched_setaffinity(0, sizeof cpus, &cpus));
	CPU_ZERO(&cpus);
	FAILS(sched_setaffinity(0, sizeof cpus, &cpus), EINVAL);
	struct sched_param parameter = { .sched_priority = 5 };
	CHECK(!pthread_setschedparam(pthread_self(), SCHED_RR, &parameter));
	int policy = -1;
	parameter.sched_priority = 0;
	CHECK(!pthread_getschedparam(pthread_self(), &policy, &parameter));
	CHECK(policy == SCHED_RR && parameter.sched_priority == 5);
	parameter.sched_priority = 0;
	CHECK(!pthread_setschedparam(pthread_self(), SCHED_OTHER, &parameter));
	CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_FIFO) == 1);
}

/* Objects of C++ that a thread has its own of, as compilers register them: the last one goes first. */
int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *handle);
static char gone[4];
static void goes(void *object)
{
	strcat(gone, object);
	/* One more, made by a destructor. */
	if (!strcmp(object, "b"))
		__cxa_thread_atexit_impl(goes, "c", 0);
}
static void *has_objects(void *argument)
{
	CHECK(!__cxa_thread_atexit_impl(goes, "a", 0) && !__cxa_thread_atexit_impl(goes, "b", 0) && !*gone);
	return 0;
}

/* A stack that the program brings. */
static char own_stack[64 << 10] __attribute__((aligned(4096)));
static void *on_own_stack(void *argument)
{
	char here;
	CHECK(&here >= own_stack && &here < own_stack + sizeof own_stack);
	return 0;
}

void test_threads(void)
{
	create_and_join();
	detached();
	locks();
	owners(PTHREAD_PRIO_NONE);
	owners(PTHREAD_PRIO_INHERIT);
	identity();
	pthread_t thread;
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	CHECK(!pthread_attr_setstack(&attributes, own_stack, sizeof own_stack));
	CHECK(!pthread_create(&thread, &attributes, on_own_stack, 0));
	CHECK(!pthread_join(thread, 0));
	CHECK(!pthread_create(&thread, 0, has_objects, 0));
	CHECK(!pthread_join(thread, 0) && !strcmp(gone, "bca"));
	/* No process, and no thread without a function. */
	FAILS(fork(), ENOSYS);
	FAILS(syscall(SYS_clone, 0, 0, 0, 0, 0), ENOSYS);
}
