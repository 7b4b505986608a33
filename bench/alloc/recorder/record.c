/* Writes down every call of malloc and its kin, for ../src/trace.rs. Use with LD_PRELOAD; the
 * recording goes to $OXK_RECORD, 32 bytes for each call, in the order in which they were made:
 *   kind, size (alignment for memalign), address, old address (size for memalign)
 * Kinds: 0 malloc, 1 calloc, 2 free, 3 realloc, 4 memalign. The lock is held around the real call,
 * so that a block that changes hands is not reported as made before it was freed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct record {
    uint64_t kind, argument, address, extra;
};

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_memalign)(size_t, size_t);
static void (*real_free)(void *);

/* Recursive: an allocator may come back here while it sets itself up. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static struct record records[4096];
static size_t count;
static int file = -1;

/* What dlsym allocates before the real functions are known. */
static char early[65536] __attribute__((aligned(16)));
static size_t early_used;

static int is_early(const void *block) {
    return (const char *)block >= early && (const char *)block < early + sizeof early;
}

static void *early_block(size_t size) {
    char *block = early + early_used;
    size = (size + 15) & ~(size_t)15;
    if (size > sizeof early - early_used)
        abort();
    early_used += size;
    return block;
}

static void flush(void) {
    const char *next = (const char *)records;
    size_t left = count * sizeof(struct record);
    while (file >= 0 && left > 0) {
        ssize_t written = write(file, next, left);
        if (written < 0 && errno != EINTR)
            break;
        if (written > 0) {
            next += written;
            left -= (size_t)written;
        }
    }
    count = 0;
}

static void put(uint64_t kind, uint64_t argument, const void *address, uint64_t extra) {
    if (file >= 0)
        records[count++] = (struct record){kind, argument, (uintptr_t)address, extra};
    if (count == sizeof records / sizeof *records)
        flush();
}

/* Whether the real functions are known. Other constructors may allocate before ours runs. */
static int ready(void) {
    static int looking;
    if (real_malloc || looking)
        return real_malloc != NULL;
    const char *path = getenv("OXK_RECORD");
    looking = 1;
    real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    real_memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
    real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    if (path)
        file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    return 1;
}

__attribute__((destructor)) static void finish(void) { flush(); }

#define RECORDED(call, kind, argument, extra)                                                      \
    pthread_mutex_lock(&lock);                                                                     \
    void *block = call;                                                                            \
    if (block)                                                                                     \
        put(kind, argument, block, extra);                                                         \
    pthread_mutex_unlock(&lock);                                                                   \
    return block

void *malloc(size_t size) {
    if (!ready())
        return early_block(size);
    RECORDED(real_malloc(size), 0, size, 0);
}

void *calloc(size_t number, size_t size) {
    if (!ready())
        return early_block(number * size);
    RECORDED(real_calloc(number, size), 1, number * size, 0);
}

void free(void *block) {
    if (!block || is_early(block))
        return;
    pthread_mutex_lock(&lock);
    put(2, 0, block, 0);
    real_free(block);
    pthread_mutex_unlock(&lock);
}

void *realloc(void *old, size_t size) {
    if (!old)
        return malloc(size);
    if (size == 0) {
        free(old);
        return NULL;
    }
    if (is_early(old)) {
        size_t there = (size_t)(early + sizeof early - (char *)old);
        void *moved = malloc(size);
        return moved ? memcpy(moved, old, size < there ? size : there) : NULL;
    }
    RECORDED(real_realloc(old, size), 3, size, (uintptr_t)old);
}

void *memalign(size_t align, size_t size) {
    if (!ready())
        return NULL;
    RECORDED(real_memalign(align, size), 4, align, size);
}

void *aligned_alloc(size_t align, size_t size) {
    return memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size) {
    void *block = memalign(align, size);
    if (block)
        *out = block;
    return block ? 0 : ENOMEM;
}
