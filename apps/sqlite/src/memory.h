/* How much of a database SQLite keeps in memory: 2 MB, in a small machine a sixth of what that has. A transaction that
 * changes more goes to the file early. */
int cache_of_machine(void);
#define SQLITE_DEFAULT_CACHE_SIZE cache_of_machine()
