/* What programs ask of descriptors and of what they see below /proc: as the host answers. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include "check.h"

/* musl has none of `linux/stat.h`. */
#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

/* What tools ask to see whether two names are one file, and where file systems begin. */
static void identity(void)
{
	char name[64];
	struct stat first, again;
	struct statx status;
	int fd = open("/dev/null", O_RDWR);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	const char *names[] = { "/proc/self/status", "/proc/thread-self/comm", name };
	for (int i = 0; i < 3; i++) {
		CHECK(!lstat(names[i], &first) && !lstat(names[i], &again) && first.st_dev);
		CHECK(first.st_ino == again.st_ino && first.st_dev == again.st_dev);
	}
	DIR *directory = opendir("/proc/self/fd");
	int seen = 0;
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		if (atoi(entry->d_name) == fd && entry->d_name[0] != '.')
			seen += entry->d_ino == first.st_ino;
	CHECK(directory && seen == 1 && !closedir(directory));
	CHECK(!statx(AT_FDCWD, "/proc", 0, 0, &status));
	CHECK(status.stx_attributes & status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT);
	CHECK(!statx(AT_FDCWD, "/proc/self", 0, 0, &status) && !(status.stx_attributes & STATX_ATTR_MOUNT_ROOT));
	close(fd);
}

/* Things that are asked of what is no file in the tree, or of files that only a few have. */
static void other_files(void)
{
	int ends[2], zero = open("/dev/zero", O_RDONLY);
	char bytes[8] = "garbage";
	struct statx status;
	CHECK(!pipe(ends) && sendfile(ends[1], zero, 0, 8) == 8);
	CHECK(read(ends[0], bytes, 8) == 8 && !memcmp(bytes, "\0\0\0\0\0\0\0\0", 8));
	off_t at = 3;
	FAILS(sendfile(ends[1], ends[0], 0, 8), EINVAL);
	FAILS(sendfile(ends[1], ends[0], &at, 8), ESPIPE);
	CHECK(!fchownat(ends[0], "", -1, -1, AT_EMPTY_PATH));
	CHECK(!statx(ends[0], "", AT_EMPTY_PATH, 0, &status) && !(status.stx_attributes & STATX_ATTR_MOUNT_ROOT));
	CHECK(!fcntl(ends[0], F_GETOWN) && !fcntl(ends[0], F_SETOWN, getpid()) && fcntl(ends[0], F_GETOWN) == getpid());
	CHECK(!fcntl(ends[0], F_SETOWN, 0) && !fcntl(ends[0], F_GETOWN) && !fcntl(ends[0], F_GETSIG));
	FAILS(fcntl(ends[0], F_SETOWN, 1 << 29), ESRCH);
	FAILS(fcntl(zero, F_SETFL, O_DIRECT), EINVAL);
	FAILS(openat(1 << 20, "", O_RDONLY), ENOENT);
	FAILS(ftruncate(1 << 20, -1), EINVAL);
	FAILS(fallocate(1 << 20, 2, 0, 1), EBADF);
	close(ends[0]);
	close(ends[1]);
	close(zero);
}

void test_descriptors(void)
{
	identity();
	other_files();
}
