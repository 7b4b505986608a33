/* What a program finds out about the system, and memory that it maps. */
#include <alloca.h>
#include <fcntl.h>
#include <iconv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include "check.h"

/* Text of others that is no text of its encoding (CVE-2025-26519). */
static size_t from_korean(const char *text, size_t left, char *out, size_t *room)
{
	iconv_t converter = iconv_open("UTF-8", "EUC-KR");
	char *in = (char *)text;
	CHECK(converter != (iconv_t)-1);
	size_t result = iconv(converter, &in, &left, &out, room);
	iconv_close(converter);
	return result;
}

static void texts(void)
{
	char out[16] = "";
	size_t room = sizeof out;
	CHECK(from_korean("\xb0\xa1", 2, out, &room) == 0 && room == 13 && !strcmp(out, "\xea\xb0\x80"));
	for (int lead = 0xc7; lead <= 0xfe; lead++) {
		char text[2] = { lead, 'A' };
		room = sizeof out;
		FAILS(from_korean(text, 2, out, &room), EILSEQ);
		CHECK(room == sizeof out);
	}
}

static void random_bytes(void)
{
	unsigned char a[64] = { 0 }, b[64] = { 0 };
	CHECK(getrandom(a, sizeof a, 0) == sizeof a && getrandom(b, sizeof b, GRND_NONBLOCK) == sizeof b);
	CHECK(memcmp(a, b, sizeof a));
	CHECK(!getentropy(a, sizeof a));
	FAILS(getrandom(a, sizeof a, 64), EINVAL);
	FILE *file = fopen("/dev/urandom", "r");
	CHECK(file && fread(b, 1, sizeof b, file) == sizeof b && memcmp(a, b, sizeof a));
	if (file)
		fclose(file);
}

/* Whether a file of /proc has a text. */
static int says(const char *path, const char *text)
{
	char content[8192];
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	size_t len = fread(content, 1, sizeof content - 1, file);
	fclose(file);
	content[len] = 0;
	int found = strstr(content, text) != 0;
	if (!found)
		printf("%s is %s", path, content);
	return found;
}

static void proc(void)
{
	CHECK(says("/proc/self/status", "Threads:\t"));
	CHECK(says("/proc/self/stat", "1 ("));
	CHECK(says("/proc/self/cmdline", "posix"));
	CHECK(says("/proc/1/comm", "posix"));
	CHECK(says("/proc/thread-self/status", "Pid:\t1\n"));
	CHECK(says("/proc/self/task/1/comm", "posix"));
	CHECK(access("/proc/self/task/99", F_OK) == -1 && errno == ENOENT);
	CHECK(says("/proc/cpuinfo", "processor\t: 0\n"));
	CHECK(says("/proc/meminfo", "MemTotal: "));
	CHECK(says("/proc/uptime", "."));
	CHECK(says("/proc/version", "Linux version "));
	CHECK(says("/proc/mounts", "proc /proc proc rw 0 0\n"));
	CHECK(says("/proc/filesystems", "nodev\tproc\n"));
	CHECK(says("/proc/sys/kernel/ostype", "Linux\n"));
	CHECK(says("/proc/syscalls", "2 open "));
	void *mapped = mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char line[64];
	snprintf(line, sizeof line, "%08lx-%08lx r--p", (unsigned long)mapped,
		(unsigned long)mapped + 8192);
	CHECK(mapped != MAP_FAILED && says("/proc/self/maps", line) && !munmap(mapped, 8192));
	char target[64] = { 0 };
	CHECK(readlink("/proc/self/exe", target, sizeof target) == 6 && !strcmp(target, "/posix"));
	int ends[2];
	CHECK(!pipe(ends));
	snprintf(line, sizeof line, "/proc/self/fd/%d", ends[0]);
	CHECK(readlink(line, target, sizeof target) > 6 && !strncmp(target, "pipe:[", 6));
	close(ends[0]);
	close(ends[1]);
	FAILS(readlink(line, target, sizeof target), ENOENT);
	int own = open("/proc/sys/kernel/hostname", O_WRONLY | O_TRUNC);
	CHECK(own >= 0 && write(own, "other\n", 6) == 6 && !close(own));
	CHECK(!gethostname(target, sizeof target) && !strcmp(target, "other"));
}

/* The stack is as large as its limit says. */
static void stack(void)
{
	struct rlimit limit;
	CHECK(!getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur <= limit.rlim_max);
	/* The rest is for those that called, and for signals. */
	size_t most = limit.rlim_cur == RLIM_INFINITY ? 8 << 20 : limit.rlim_cur / 4 * 3;
	volatile char *end = (volatile char *)alloca(most) + most;
	for (size_t at = 4096; at < most; at += 4096)
		*(end - at) = 1;
}

void test_system(void)
{
	stack();
	random_bytes();
	texts();
	proc();
	struct utsname names;
	CHECK(!uname(&names) && !strcmp(names.machine, "x86_64"));
	struct sysinfo info;
	CHECK(!sysinfo(&info) && info.totalram > info.freeram && info.procs == 1);
	struct rusage usage;
	CHECK(!getrusage(RUSAGE_SELF, &usage));
	struct tms ticks;
	CHECK(times(&ticks) != (clock_t)-1);
}
