#!/bin/sh
# Records ../traces/*.trace from the real programs. Needs a C compiler and, from Debian, the
# packages sqlite3, redis-server and redis-tools:  apt-get install sqlite3 redis-server redis-tools
# The benchmark itself needs none of them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for program in cc sqlite3 redis-server redis-benchmark redis-cli; do
    command -v "$program" >/dev/null || { echo "$0: $program is missing" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -shared -fPIC -o "$work/record.so" "$here/record.c" -ldl -lpthread

# SQLite: a table, 20 000 inserts as statements of their own, an index, queries, updates, deletes.
{
    echo 'PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA cache_size=-1000;'
    echo 'CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, town TEXT, score REAL); BEGIN;'
    awk 'BEGIN { srand(1); for (i = 1; i <= 20000; i++)
        printf "INSERT INTO people VALUES(%d, '\''name %d of %d'\'', '\''town %d'\'', %f);\n",
            i, rand() * 1e6, i, rand() * 500, rand() }'
    echo 'COMMIT; CREATE INDEX by_town ON people(town);'
    awk 'BEGIN { srand(2); for (i = 1; i <= 2000; i++) {
        printf "SELECT count(*), avg(score) FROM people WHERE town = '\''town %d'\'';\n", rand() * 500
        printf "UPDATE people SET score = score + 1 WHERE id = %d;\n", rand() * 20000
        if (i % 10 == 0)
            printf "SELECT name FROM people WHERE town > '\''town %d'\'' ORDER BY score LIMIT 20;\n", rand() * 500
        if (i % 20 == 0) printf "DELETE FROM people WHERE id = %d;\n", rand() * 20000 } }'
} >"$work/work.sql"
OXK_RECORD="$work/sqlite.raw" LD_PRELOAD="$work/record.so" \
    sqlite3 "$work/people.db" <"$work/work.sql" >/dev/null

# Redis: several clients with commands of different kinds at the same time.
port=16379
OXK_RECORD="$work/redis.raw" LD_PRELOAD="$work/record.so" \
    redis-server --port $port --bind 127.0.0.1 --save '' --appendonly no --dir "$work" >/dev/null &
server=$!
tries=50
until redis-cli -p $port ping >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { kill $server; echo "$0: redis-server does not answer" >&2; exit 1; }
    sleep 0.1
done
clients=
for load in 'set -d 64' 'get' 'lpush -d 100' 'lpop' 'sadd' 'hset -d 32' 'zadd' 'incr' 'mset -d 48' 'lrange_100'; do
    # shellcheck disable=SC2086
    redis-benchmark -p $port -q -n 3000 -c 5 -r 2000 -t $load >/dev/null &
    clients="$clients $!"
done
for client in $clients; do wait "$client"; done
redis-cli -p $port shutdown nosave
wait $server

# Windows from the middle: SQLite's has the last inserts, the index and queries.
compact() {
    cargo run --quiet --package bench-alloc -- --compact "$work/$1.raw" "$here/../traces/$1.trace" "$2"
}
compact sqlite 850000
compact redis 100000
