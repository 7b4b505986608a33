/* Files under names that stand for what is open, and whose they are. */
#include <fcntl.h>
#include <grp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include "check.h"

static void console(void)
{
	struct stat status;
	/* As `fopen` for writing opens it: where there is none, a file would be made. */
	int fd = open("/dev/console", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	CHECK(fd >= 0 && !fstat(fd, &status) && S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 1));
	CHECK(dprintf(fd, "through /dev/console\n") == 21);
	close(fd);
	fd = open("/dev/tty", O_RDWR);
	CHECK(fd >= 0 && !fstat(fd, &status) && status.st_rdev == makedev(5, 0));
	close(fd);
	FILE *out = fopen("/dev/stdout", "w");
	CHECK(out && fprintf(out, "through /dev/stdout\n") == 20 && !fclose(out));
	out = fopen("/dev/fd/1", "a");
	CHECK(out && fprintf(out, "through /dev/fd/1\n") == 18 && !fclose(out));
	fd = open("/dev/stdin", O_RDONLY | O_NONBLOCK);
	CHECK(fd >= 0 && !close(fd));
	CHECK(!stat("/dev/stderr", &status) && S_ISCHR(status.st_mode));
}

static void descriptors(void)
{
	int ends[2];
	char name[64], text[8] = { 0 };
	struct stat status;
	CHECK(!pipe(ends));
	snprintf(name, sizeof name, "/proc/self/fd/%d", ends[1]);
	CHECK(!stat(name, &status) && S_ISFIFO(status.st_mode));
	int again = open(name, O_WRONLY);
	CHECK(again >= 0 && !close(ends[1]) && write(again, "pipe", 4) == 4);
	CHECK(read(ends[0], text, sizeof text) == 4 && !memcmp(text, "pipe", 4));
	/* The end that reads sees the last of those that write go. */
	CHECK(!close(again) && read(ends[0], text, sizeof text) == 0);
	FAILS(open(name, O_WRONLY), ENOENT);
	close(ends[0]);
	/* Devices have names, and files of no kind no type. */
	int null = open("/dev/null", O_RDONLY), counter = eventfd(0, 0);
	snprintf(name, sizeof name, "/proc/self/fd/%d", null);
	CHECK(readlink(name, name, sizeof name) == 9 && !memcmp(name, "/dev/null", 9));
	CHECK(!fstat(counter, &status) && !(status.st_mode & S_IFMT));
	snprintf(name, sizeof name, "/proc/self/fd/%d", counter);
	CHECK(readlink(name, name, sizeof name) > 12 && !memcmp(name, "anon_inode:[", 12));
	CHECK(!close(null) && !close(counter));
	/* A file without a name. */
	int fd = open("/tmp/nameless", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && write(fd, "content", 7) == 7 && !unlink("/tmp/nameless"));
	snprintf(name, sizeof name, "/dev/fd/%d", fd);
	again = open(name, O_RDONLY);
	CHECK(again >= 0 && read(again, text, sizeof text) == 7 && !memcmp(text, "content", 7));
	FAILS(write(again, "x", 1), EBADF);
	close(again);
	again = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(again >= 0 && !fstat(fd, &status) && status.st_size == 0 && !close(again));
	close(fd);
	/* On the way to somewhere else. */
	fd = open("/proc/self", O_RDONLY | O_DIRECTORY);
	snprintf(name, sizeof name, "/proc/self/fd/%d/comm", fd);
	CHECK(fd >= 0 && !access(name, R_OK) && !close(fd));
}

static void users(void)
{
	gid_t groups[2] = { 7, 9 }, found[2] = { 0 };
	int fd = open("/tmp/root", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && !close(fd));
	CHECK(!setgroups(2, groups) && getgroups(2, found) == 2 && found[1] == 9);
	CHECK(!setresgid(1000, 1000, 0) && !setresuid(1000, 1000, 0));
	FAILS(open("/tmp/root", O_RDONLY), EACCES);
	FAILS(chown("/tmp/root", 1000, 1000), EPERM);
	FAILS(access("/tmp/root", R_OK), EACCES);
	FAILS(unlink("/tmp/root"), EPERM);
	FAILS(setgroups(0, 0), EPERM);
	struct stat status;
	fd = open("/tmp/own", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && !fstat(fd, &status) && status.st_uid == 1000 && status.st_gid == 1000);
	CHECK(!close(fd) && !unlink("/tmp/own"));
	CHECK(!setresuid(0, 0, 0) && !setresgid(0, 0, 0) && !setgroups(0, 0));
	CHECK(!unlink("/tmp/root"));
}

/* Whoever fills the disk is told so while others still have memory. */
static void limits(void)
{
	struct statfs disk;
	struct sysinfo memory;
	const char *disks[] = { "/", "/dev/shm" };
	CHECK(!sysinfo(&memory));
	for (int i = 0; i < 2; i++) {
		CHECK(!statfs(disks[i], &disk) && disk.f_files);
		CHECK(disk.f_blocks && disk.f_blocks * disk.f_bsize <= memory.totalram * memory.mem_unit / 2);
	}
	int fd = memfd_create("full", 0);
	CHECK(fd >= 0 && !fstatfs(fd, &disk));
	CHECK(disk.f_blocks && disk.f_blocks * disk.f_bsize <= memory.totalram * memory.mem_unit / 2);
	FAILS(ftruncate(fd, 0) || fallocate(fd, 0, 0, memory.totalram * memory.mem_unit) ? -1 : 0, ENOSPC);
	CHECK(!close(fd));
}

/* Calls that musl of this version has no function for. */
static void newer_calls(void)
{
	const char *name = "/tmp/newer", *other = "/tmp/other";
	char a[4], b[5];
	struct iovec to[2] = { { a, sizeof a }, { b, sizeof b } }, from[2] = { { "abcd", 4 }, { "efghi", 5 } };
	struct statx status;
	struct stat old;
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && pwritev2(fd, from, 2, 10, RWF_SYNC) == 9 && pwritev2(fd, from, 1, -1, 0) == 4);
	CHECK(preadv2(fd, to, 2, 10, 0) == 9 && !memcmp(a, "abcd", 4) && !memcmp(b, "efghi", 5));
	CHECK(preadv2(fd, to, 1, -1, 0) == 4 && !memcmp(a, "\0\0\0\0", 4));
	FAILS(preadv2(fd, to, 2, 0, 1 << 30), EOPNOTSUPP);
	CHECK(!fstat(fd, &old) && !statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status));
	CHECK(status.stx_size == 19 && status.stx_mode == old.st_mode && status.stx_ino == old.st_ino);
	CHECK(status.stx_nlink == 1 && status.stx_mtime.tv_sec == old.st_mtim.tv_sec);
	FAILS(statx(AT_FDCWD, "/tmp/none", 0, STATX_ALL, &status), ENOENT);

	CHECK(!close(open(other, O_WRONLY | O_CREAT, 0600)));
	FAILS(renameat2(AT_FDCWD, name, AT_FDCWD, other, RENAME_NOREPLACE), EEXIST);
	CHECK(!renameat2(AT_FDCWD, name, AT_FDCWD, other, 0) && access(name, F_OK));

	int first = dup(fd), second = dup(fd);
	CHECK(first > fd && second > first && !close_range(first, second, CLOSE_RANGE_CLOEXEC));
	CHECK(fcntl(first, F_GETFD) == FD_CLOEXEC && !close_range(first, first, 0));
	FAILS(fcntl(first, F_GETFD), EBADF);
	FAILS(close_range(second, first, 0), EINVAL);
	closefrom(fd);
	FAILS(fcntl(fd, F_GETFD), EBADF);
	FAILS(fcntl(second, F_GETFD), EBADF);
	CHECK(fcntl(2, F_GETFD) == 0 && !unlink(other));

	int epoll = epoll_create1(0), ready = eventfd(1, 0);
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 7 }, got = { 0 };
	CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, ready, &event));
	CHECK(epoll_pwait2(epoll, &got, 1, 0, 0) == 1 && got.data.u32 == 7);
	struct timespec wait = { .tv_nsec = 1000 };
	CHECK(eventfd_read(ready, &(eventfd_t){ 0 }) == 0 && epoll_pwait2(epoll, &got, 1, &wait, 0) == 0);
	close(epoll);
	close(ready);
}

void test_files(void)
{
	limits();
	newer_calls();
	console();
	descriptors();
	users();
}
