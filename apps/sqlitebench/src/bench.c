/* Measures SQLite: prints a line for each measurement, with its name and milliseconds.
 *
 *     sqlitebench FOLDER SIZE INSERTS...
 *
 * `inserts-N`: figures 16 and 17 of the Unikraft paper (EuroSys'21), N statements
 * INSERT INTO tab VALUES (null, 'value'), each one a transaction of its own.
 * The others are a mix of statements as in SQLite's own speed test, over SIZE rows; 0 for none. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sqlite3.h"

static char path[256];
static sqlite3 *db;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void fail(const char *doing)
{
	fprintf(stderr, "%s: %s\n", doing, db ? sqlite3_errmsg(db) : "no memory");
	exit(1);
}

static void run(const char *sql)
{
	if (sqlite3_exec(db, sql, 0, 0, 0) != SQLITE_OK)
		fail(sql);
}

static void open_new(void)
{
	unlink(path);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		fail(path);
}

static void report(const char *name, double start)
{
	printf("%s %.3f\n", name, now() - start);
	fflush(stdout);
}

static void inserts(long count)
{
	open_new();
	run("CREATE TABLE tab (id INTEGER PRIMARY KEY, value TEXT)");
	double start = now();
	for (long i = 0; i < count; i++)
		run("INSERT INTO tab VALUES (null, 'value')");
	char name[40];
	snprintf(name, sizeof name, "inserts-%ld", count);
	report(name, start);
	sqlite3_close(db);
}

/* The same numbers everywhere (Marsaglia, "Xorshift RNGs", 2003). */
static uint32_t state = 2463534242;

static uint32_t number(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % below;
}

/* A prepared statement, run `count` times with what `bind` binds; all rows are read. */
static void repeat(const char *sql, long count, void (*bind)(sqlite3_stmt *, long))
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(db, sql, -1, &statement, 0) != SQLITE_OK)
		fail(sql);
	for (long i = 0; i < count; i++) {
		if (bind)
			bind(statement, i);
		int result;
		while ((result = sqlite3_step(statement)) == SQLITE_ROW)
			sqlite3_column_text(statement, 0);
		if (result != SQLITE_DONE)
			fail(sql);
		sqlite3_reset(statement);
	}
	sqlite3_finalize(statement);
}

static long size;

static void bind_row(sqlite3_stmt *statement, long i)
{
	char text[40];
	uint32_t n = number(size);
	snprintf(text, sizeof text, "row %u of %ld, some text", n, size);
	sqlite3_bind_int64(statement, 1, i + 1);
	sqlite3_bind_int64(statement, 2, n);
	sqlite3_bind_text(statement, 3, text, -1, SQLITE_TRANSIENT);
}

static void bind_number(sqlite3_stmt *statement, long i)
{
	sqlite3_bind_int64(statement, 1, number(size));
}

static void bind_range(sqlite3_stmt *statement, long i)
{
	uint32_t n = number(size);
	sqlite3_bind_int64(statement, 1, n);
	sqlite3_bind_int64(statement, 2, n + 100);
}

static void mix(void)
{
	struct {
		const char *name, *sql;
		long count;
		void (*bind)(sqlite3_stmt *, long);
	} steps[] = {
		{ "insert-in-one-transaction", "INSERT INTO t VALUES (?, ?, ?)", size, bind_row },
		{ "scan-for-text", "SELECT count(*) FROM t WHERE c LIKE '%7 of%'", 10, 0 },
		{ "make-index", "CREATE INDEX i ON t (b)", 1, 0 },
		{ "select-by-key", "SELECT c FROM t WHERE a = ?", size, bind_number },
		{ "select-by-index", "SELECT count(*), avg(b) FROM t WHERE b BETWEEN ? AND ?",
			size / 10, bind_range },
		{ "sort-and-group",
			"SELECT substr(c, 1, 6) AS g, count(*) FROM t GROUP BY g ORDER BY 2 DESC", 1, 0 },
		{ "join", "SELECT count(*) FROM t x JOIN t y ON x.a = y.b", 1, 0 },
		{ "update-by-key", "UPDATE t SET b = b + 1 WHERE a = ?", size, bind_number },
		{ "delete-by-index", "DELETE FROM t WHERE b BETWEEN ? AND ?", size / 400, bind_range },
		{ "check", "PRAGMA integrity_check", 1, 0 },
	};
	open_new();
	run("CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER, c TEXT)");
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		double start = now();
		run("BEGIN");
		repeat(steps[i].sql, steps[i].count, steps[i].bind);
		run("COMMIT");
		report(steps[i].name, start);
	}
	sqlite3_close(db);
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: sqlitebench FOLDER SIZE INSERTS...\n");
		return 2;
	}
	snprintf(path, sizeof path, "%s/sqlitebench.db", argv[1]);
	size = atol(argv[2]);
	for (int i = 3; i < argc; i++)
		inserts(atol(argv[i]));
	if (size > 0)
		mix();
	unlink(path);
	return 0;
}
