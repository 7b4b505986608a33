/* The system writes what the program gets, which has the same layout here: nothing is to be converted. */
#define _BSD_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include "kstat.h"
#include "syscall.h"

_Static_assert(sizeof(struct stat) == sizeof(struct kstat) &&
	offsetof(struct stat, st_rdev) == offsetof(struct kstat, st_rdev) &&
	offsetof(struct stat, st_atim) == offsetof(struct kstat, st_atime_sec) &&
	offsetof(struct stat, st_ctim) == offsetof(struct kstat, st_ctime_sec), "they differ");

int fstatat(int fd, const char *restrict path, struct stat *restrict to, int flags)
{
	if (flags == AT_EMPTY_PATH && fd >= 0 && !*path) return syscall(SYS_fstat, fd, to);
	if (fd == AT_FDCWD && !flags) return syscall(SYS_stat, path, to);
	if (fd == AT_FDCWD && flags == AT_SYMLINK_NOFOLLOW) return syscall(SYS_lstat, path, to);
	return syscall(SYS_newfstatat, fd, path, to, flags);
}

weak_alias(fstatat, fstatat64);
