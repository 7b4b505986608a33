/* Files as memory: the program is run by the host, too, where it must find the same. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include "check.h"

#define PAGE 4096

static const char *folder;

static int file(const char *name, int flags)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, flags, 0644);
	CHECK(fd >= 0);
	return fd;
}

static char *map(int fd, size_t length, int protection, int flags, off_t offset)
{
	char *at = mmap(0, length, protection, flags, fd, offset);
	CHECK(at != MAP_FAILED);
	return at;
}

/* What a read of the file gives is what is in the memory, and the other way round. */
static void coherence(void)
{
	char text[PAGE + 16] = "";
	int fd = file("shared", O_RDWR | O_CREAT | O_TRUNC);
	CHECK(pwrite(fd, "start", 5, 0) == 5);
	CHECK(!ftruncate(fd, PAGE + 100));
	char *at = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	CHECK(!memcmp(at, "start", 6));
	memcpy(at + 2, "XY", 2);
	CHECK(pread(fd, text, 5, 0) == 5 && !memcmp(text, "stXYt", 5));
	CHECK(pwrite(fd, "boundary", 8, PAGE - 4) == 8);
	CHECK(!memcmp(at + PAGE - 4, "boundary", 8));
	/* The second mapping, through another descriptor, for reading. */
	int other = file("shared", O_RDONLY);
	char *again = map(other, PAGE, PROT_READ, MAP_SHARED, PAGE);
	at[PAGE + 50] = 'q';
	CHECK(again[50] == 'q' && again[0] == 'd');
	struct stat status;
	CHECK(!fstat(fd, &status) && status.st_size == PAGE + 100);
	CHECK(!munmap(again, PAGE) && !close(other));
	/* The descriptor goes, the mapping stays. */
	CHECK(!close(fd));
	at[7] = 'm';
	CHECK(!msync(at, 2 * PAGE, MS_SYNC));
	fd = file("shared", O_RDWR);
	CHECK(pread(fd, text, sizeof text, 0) == sizeof text);
	CHECK(text[7] == 'm' && text[PAGE - 4] == 'b');
	/* Shorter and longer again: what was behind the end is gone. */
	CHECK(!ftruncate(fd, 4) && !ftruncate(fd, PAGE));
	CHECK(at[0] == 's' && at[7] == 0 && at[4] == 0);
	at[9] = '9';
	CHECK(!munmap(at, 2 * PAGE));
	CHECK(pread(fd, text, 10, 0) == 10 && text[9] == '9');
	CHECK(!close(fd));
}

/* Other ways to a file than reading it. */
static void other_ways(void)
{
	char text[10] = "";
	int fd = file("ways", O_RDWR | O_CREAT | O_TRUNC), to = file("copy", O_RDWR | O_CREAT | O_TRUNC);
	CHECK(!ftruncate(fd, PAGE));
	char *at = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	memcpy(at, "sendfile", 8);
	off_t offset = 0;
	CHECK(sendfile(to, fd, &offset, 8) == 8);
	CHECK(pread(to, text, 8, 0) == 8 && !memcmp(text, "sendfile", 8));
	char *private = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	CHECK(!memcmp(private, "sendfile", 8));
	private[0] = 'S';
	CHECK(at[0] == 's');
	/* Into the mapping of the file itself. */
	CHECK(pread(fd, at + 100, 4, 0) == 4 && !memcmp(at + 100, "send", 4));
	CHECK(lseek(fd, 0, SEEK_END) == PAGE && write(fd, "end", 3) == 3);
	CHECK(!munmap(private, PAGE) && !munmap(at, PAGE));
	CHECK(pread(fd, text, 4, 100) == 4 && !memcmp(text, "send", 4));
	CHECK(!close(fd) && !close(to));
}

/* A mapping keeps a file that has no name any more. */
static void without_a_name(void)
{
	char path[200];
	snprintf(path, sizeof path, "%s/gone", folder);
	int fd = file("gone", O_RDWR | O_CREAT | O_TRUNC);
	CHECK(!ftruncate(fd, PAGE));
	char *at = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	CHECK(!unlink(path));
	at[0] = 'u';
	char text = 0;
	CHECK(pread(fd, &text, 1, 0) == 1 && text == 'u');
	CHECK(!close(fd));
	at[1] = 'v';
	CHECK(!munmap(at, PAGE));
	fd = memfd_create("memory", 0);
	CHECK(fd >= 0 && !ftruncate(fd, PAGE));
	at = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	at[5] = 'w';
	CHECK(pread(fd, &text, 1, 5) == 1 && text == 'w');
	at = mremap(at, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	CHECK(at != MAP_FAILED && at[5] == 'w');
	/* To where the program wants it. */
	char *to = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	at = mremap(at, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	CHECK(at == to && at[5] == 'w' && (at[6] = 'x'));
	CHECK(pread(fd, &text, 1, 6) == 1 && text == 'x');
	CHECK(!munmap(to, 4 * PAGE) && !close(fd));
	/* What is not mapped has no protection. */
	to = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(to != MAP_FAILED && !munmap(to + PAGE, PAGE));
	FAILS(mprotect(to, 3 * PAGE, PROT_READ), ENOMEM);
	CHECK(!munmap(to, 3 * PAGE));
}

/* What a file is sealed against cannot be done to it, by calls and as memory. */
static void seals(void)
{
	char text[16] = "", path[64];
	int plain = memfd_create("plain", 0);
	CHECK(fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL);
	FAILS(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	CHECK(write(plain, "can be written", 14) == 14 && !close(plain));

	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
	CHECK(fd >= 0 && !fcntl(fd, F_GET_SEALS) && !ftruncate(fd, PAGE));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int reads = open(path, O_RDONLY);
	CHECK(reads >= 0 && !fcntl(reads, F_GET_SEALS));
	FAILS(fcntl(reads, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	FAILS(fcntl(fd, F_ADD_SEALS, 0x4000), EINVAL);
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	CHECK(fcntl(reads, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW));
	FAILS(ftruncate(fd, PAGE - 1), EPERM);
	FAILS(ftruncate(fd, PAGE + 1), EPERM);
	FAILS(open(path, O_RDWR | O_TRUNC), EPERM);
	CHECK(!ftruncate(fd, PAGE));
	FAILS(pwrite(fd, text, 1, PAGE), EPERM);
	FAILS(posix_fallocate(fd, 0, PAGE + 1) == EPERM ? (errno = EPERM, -1) : 0, EPERM);
	CHECK(pwrite(fd, "inside", 6, PAGE - 6) == 6);

	char *at = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	at[0] = 'm';
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	CHECK(!munmap(at, PAGE) && !fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	FAILS(pwrite(fd, text, 1, 0), EPERM);
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
	FAILS((long)mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
	/* A copy is nobody's business, nor is reading. */
	at = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	CHECK(at[0] == 'm' && (at[0] = 'c') && !munmap(at, PAGE));
	at = map(reads, PAGE, PROT_READ, MAP_SHARED, 0);
	CHECK(at[0] == 'm');
	FAILS(mprotect(at, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK(!munmap(at, PAGE));
	CHECK(pread(fd, text, 7, PAGE - 6) == 6 && !strcmp(text, "inside"));
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), EPERM);
	CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
	CHECK(!close(fd) && !close(reads));
	fd = open("/dev/null", O_RDWR);
	FAILS(fcntl(fd, F_GET_SEALS), EINVAL);
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EINVAL);
	CHECK(!close(fd));
}

/* What is mapped already can be changed, and nothing else: of what one gives away. */
static void sealed_for_others(void)
{
	int fd = memfd_create("given away", MFD_ALLOW_SEALING);
	CHECK(fd >= 0 && !ftruncate(fd, PAGE));
	char *at = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0), text[4] = "";
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_FUTURE_WRITE);
	FAILS(pwrite(fd, "x", 1, 0), EPERM);
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
	FAILS((long)mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
	memcpy(at, "own", 3);
	CHECK(pread(fd, text, 3, 0) == 3 && !strcmp(text, "own"));
	CHECK(!munmap(at, PAGE) && pread(fd, text, 3, 0) == 3 && !strcmp(text, "own"));
	at = map(fd, PAGE, PROT_READ, MAP_SHARED, 0);
	FAILS(mprotect(at, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK(!munmap(at, PAGE) && !close(fd));
}

/* What a private copy does not need any more is what the file has. */
static void copies(void)
{
	int fd = file("copied", O_RDWR | O_CREAT | O_TRUNC);
	CHECK(write(fd, "original", 8) == 8 && !ftruncate(fd, 2 * PAGE));
	char *at = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	memset(at, 'c', 2 * PAGE);
	CHECK(!madvise(at, PAGE, MADV_DONTNEED) && !strcmp(at, "original") && at[PAGE] == 'c');
	CHECK(!munmap(at, PAGE) && pwrite(fd, "second", 6, PAGE) == 6 && !close(fd));
	CHECK(!madvise(at + PAGE, PAGE, MADV_DONTNEED) && !strcmp(at + PAGE, "second"));
	CHECK(!munmap(at + PAGE, PAGE));
}

static void errors(void)
{
	char path[200];
	int ends[2];
	snprintf(path, sizeof path, "%s/errors", folder);
	int reads = file("errors", O_RDONLY | O_CREAT), writes = open(path, O_WRONLY);
	CHECK(reads >= 0 && writes >= 0 && !pipe(ends) && !ftruncate(writes, PAGE));
	FAILS((long)mmap(0, PAGE, PROT_READ, MAP_SHARED, writes, 0), EACCES);
	FAILS((long)mmap(0, PAGE, PROT_WRITE, MAP_SHARED, reads, 0), EACCES);
	FAILS((long)mmap(0, PAGE, PROT_READ, MAP_SHARED, ends[0], 0), ENODEV);
	FAILS((long)mmap(0, PAGE, PROT_READ, MAP_SHARED, 999, 0), EBADF);
	FAILS((long)mmap(0, PAGE, PROT_READ, MAP_SHARED, reads, 1), EINVAL);
	char *at = map(reads, PAGE, PROT_READ, MAP_SHARED, 0);
	FAILS(mprotect(at, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK(!munmap(at, PAGE));
	/* A private copy may be written to. */
	at = map(reads, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	at[0] = 'p';
	CHECK(!munmap(at, PAGE));
	int zero = open("/dev/zero", O_RDWR);
	at = map(zero, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	CHECK(at[0] == 0 && (at[0] = 1));
	CHECK(!munmap(at, PAGE) && !close(zero));
	CHECK(!close(reads) && !close(writes) && !close(ends[0]) && !close(ends[1]));
}

/* The first thread's stack is told as it is: it has what is on it, and its lowest byte is memory. */
static void the_first_stack(void)
{
	pthread_attr_t attributes;
	char here, *lowest = 0;
	size_t size = 0, guard = 1;
	CHECK(!pthread_getattr_np(pthread_self(), &attributes));
	CHECK(!pthread_attr_getstack(&attributes, (void **)&lowest, &size));
	CHECK(!pthread_attr_getguardsize(&attributes, &guard));
	CHECK(lowest < &here && &here < lowest + size);
	CHECK(size >= 64 << 10 && guard % PAGE == 0);
	CHECK(__builtin_frame_address(0) > (void *)lowest);
	*(volatile char *)lowest = 1;
	pthread_attr_destroy(&attributes);
}

void test_mappings(void)
{
	folder = getenv("FOLDER") ? getenv("FOLDER") : "/tmp";
	mkdir(folder, 0777);
	the_first_stack();
	coherence();
	other_ways();
	without_a_name();
	seals();
	sealed_for_others();
	copies();
	errors();
}
