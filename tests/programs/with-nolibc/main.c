#define _GNU_SOURCE
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
int made(void);
void ends(void);
static int compare(const void *a, const void *b) {
    return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}
static void bye(void) { fputs("bye", stdout); }
/* A program's own function has precedence over one of the library. */
void *memrchr(const void *memory, int c, size_t n) { return "own"; }
static void strings(void) {
    char text[32] = "one,two;;three";
    char *rest, *words[3];
    for (int i = 0; i < 3; i++) words[i] = strtok_r(i ? NULL : text, ",;", &rest);
    assert(!strcmp(words[0], "one") && !strcmp(words[1], "two") && !strcmp(words[2], "three"));
    assert(!strtok_r(NULL, ",;", &rest));
    assert(strcmp("a", "b") < 0 && strcmp("b", "a") > 0 && strcmp("\xff", "a") > 0);
    assert(!strncmp("abc", "abd", 2) && !strcasecmp("AbC", "aBc") && strncasecmp("AX", "ay", 2) < 0);
    assert(strstr("needle in hay", "in") && !strstr("hay", "needle") && *strstr("x", "") == 'x');
    assert(!strcmp(strchr("path/file", '/'), "/file") && !strcmp(strrchr("a/b/c", '/'), "/c"));
    assert(!*strchr("abc", 0) && !strchr("abc", 'd') && !*strchrnul("abc", 'd'));
    assert(strspn("aab", "a") == 2 && strcspn("aab", "b") == 2 && *strpbrk("abc", "cb") == 'b');
    char to[8];
    assert(strlcpy(to, "too long a text", sizeof to) == 15 && !strcmp(to, "too lon"));
    assert(strlcat(to, "x", sizeof to) == 8 && strnlen(to, 3) == 3);
    memset(to, 'x', sizeof to);
    assert(strncpy(to, "ab", 4) == to && to[2] == 0 && to[3] == 0 && to[4] == 'x');
    assert(stpcpy(to, "abc") == to + 3 && !strcmp(strncat(to, "defg", 2), "abcde"));
    assert(memchr("abc", 'c', 3) && !memchr("abc", 'c', 2) && memmem("abcd", 4, "cd", 2));
    assert(!strcmp(memrchr("x", 'x', 1), "own"));
    char *copy = strdup("copy"), *part = strndup("part of it", 4);
    assert(!strcmp(copy, "copy") && !strcmp(part, "part"));
    free(copy); free(part);
    assert(isalpha('x') && !isalpha('1') && isspace('\v') && !isprint(EOF) && toupper('q') == 'Q');
}
static void numbers(void) {
    char *end;
    assert(strtol(" -0x1fz", &end, 0) == -31 && *end == 'z' && atoi("12a") == 12);
    errno = 0;
    assert(strtol("99999999999999999999", NULL, 10) == LONG_MAX && errno == ERANGE);
    assert(strtoul("-1", NULL, 10) == ULONG_MAX && strtod("2.5e3x", &end) == 2500 && *end == 'x');
    assert(div(-7, 2).quot == -3 && ldiv(-7, 2).rem == -1 && lldiv(1ll << 40, 2).quot == 1ll << 39);
    int list[100];
    srand(7);
    for (int i = 0; i < 100; i++) list[i] = rand() % 50;
    qsort(list, 100, sizeof *list, compare);
    for (int i = 1; i < 100; i++) assert(list[i - 1] <= list[i]);
    assert(*(int *)bsearch(&list[42], list, 100, sizeof *list, compare) == list[42]);
    char text[64], *made;
    assert(snprintf(text, 5, "%s", "too long") == 8 && !strcmp(text, "too "));
    /* More arguments than there are registers of each kind. */
    sprintf(text, "%d%d%d%d%d%d|%.1f%.1f%.1f%.1f%.1f%.1f%.1f%.1f%.1f|%" PRIx64, 1, 2, 3, 4, 5, 6,
            .1, .2, .3, .4, .5, .6, .7, .8, .9, UINT64_MAX);
    assert(!strcmp(text, "123456|0.10.20.30.40.50.60.70.80.9|ffffffffffffffff"));
    assert(asprintf(&made, "%+d %5.2f %-4s| %c %#x %g", 7, 3.14159, "ab", 'c', 255, 1e-7) > 0);
    puts(made);
    free(made);
}
static void system_calls(void) {
    struct timespec before, after, wait = {0, 2000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert(nanosleep(&wait, NULL) == 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >= 2000000);
    assert(time(NULL) > 1600000000 && getpid() == 1);
    int fd = open("/new", O_RDWR | O_CREAT | O_EXCL, 0600);
    assert(fd > 2 && write(fd, "content", 7) == 7 && lseek(fd, 3, SEEK_SET) == 3);
    char text[8] = "";
    assert(read(fd, text, 7) == 4 && !strcmp(text, "tent") && close(fd) == 0);
    assert(rename("/new", "/other") == 0 && unlink("/other") == 0);
    assert(open("/other", O_RDONLY) == -1 && errno == ENOENT);
    perror("/other");
    errno = 0;
    assert(!malloc((size_t)1 << 60) && errno == ENOMEM);
    char *block = calloc(10, 10);
    for (int i = 0; i < 100; i++) assert(!block[i]);
    assert((block = realloc(block, 10000)) && !reallocarray(block, SIZE_MAX / 2, 3));
    free(block);
}
int main(int argc, char **argv) {
    printf("arguments %d %s, environment %s %d\n", argc, argv[argc - 1], getenv("A"), !getenv("B"));
    strings();
    numbers();
    system_calls();
    printf("constructors %d\n", made());
    for (int i = 0; i < 100; i++) assert(!atexit(ends));
    if (atexit(bye)) return 1;
    assert(argc < 3);
    return 7;
}
