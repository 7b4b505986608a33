/*
 * Measures calls on small files: `oxk bench files` runs it as an image, and as a program of Linux.
 *
 * Writes a line for each measurement: its name and nanoseconds. Arguments: a directory that can be
 * written to, and how often things are done, in thousands.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Bytes of a small file. */
#define SMALL 1000

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void check(int condition, const char *what)
{
	if (!condition) {
		perror(what);
		exit(1);
	}
}

/* Times `rounds` times `work`, in which `i` counts. */
#define MEASURE(name, work)                                                    \
	do {                                                                   \
		double start = now();                                          \
		for (long i = 0; i < rounds; i++) {                            \
			work;                                                  \
		}                                                              \
		printf("%s %.2f\n", name, (now() - start) / rounds);           \
	} while (0)

int main(int argc, char **argv)
{
	static char buffer[SMALL];
	char name[64];
	struct stat status;
	long rounds = argc == 3 ? atol(argv[2]) * 1000 : 0;

	if (rounds < 1 || rounds > 10000000) {
		fprintf(stderr, "arguments: a directory, and how often in thousands: 1 to 10000\n");
		return 2;
	}
	check(chdir(argv[1]) == 0, argv[1]);
	memset(buffer, 'x', SMALL);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "file%d", i);
		int file = open(name, O_CREAT | O_RDWR, 0600);
		check(file >= 0 && write(file, buffer, SMALL) == SMALL, name);
		close(file);
	}

	MEASURE("open-close", {
		int file = open("file50", O_RDONLY);
		check(file >= 0, "open");
		close(file);
	});
	MEASURE("stat", check(stat("file51", &status) == 0, "stat"));
	MEASURE("open-read-close", {
		int file = open("file52", O_RDONLY);
		check(file >= 0 && read(file, buffer, SMALL) == SMALL, "read");
		close(file);
	});
	int file = open("file53", O_RDWR);
	check(file >= 0, "open");
	MEASURE("fstat", check(fstat(file, &status) == 0, "fstat"));
	MEASURE("pread", check(pread(file, buffer, SMALL, 0) == SMALL, "pread"));
	MEASURE("pwrite", check(pwrite(file, buffer, SMALL, 0) == SMALL, "pwrite"));
	close(file);
	MEASURE("create-write-unlink", {
		int file = open("new", O_CREAT | O_EXCL | O_WRONLY, 0600);
		check(file >= 0 && write(file, buffer, SMALL) == SMALL, "new");
		close(file);
		check(unlink("new") == 0, "unlink");
	});
	return 0;
}
