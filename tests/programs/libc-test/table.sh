#!/bin/sh
# Prints docs/src/libc-test.md from what run.sh printed on each platform:
# tests/programs/libc-test/table.sh PLATFORM=FILE...
#
# Fails when a test failed for which reasons.txt has no reason.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cat <<'M'
# The test suite of musl

`libc-test` is the test suite of musl's authors (<https://repo.or.cz/libc-test.git>); this is about the
copy of 2020 in `microsoft/checkedc-libc-test` on GitHub, commit 66f420f917d6. For each platform
`tests/programs/libc-test/run.sh FOLDER PLATFORM`, `FOLDER` being that copy, makes one image of all tests
that can be linked statically, and starts it once for each, for at most 30 seconds. On kvm that was QEMU
with its translation in software. This page is what `table.sh` there makes of what that prints.

| platform | passed | of |
|---|---|---|
M
for run in "$@"; do
	file=${run#*=}
	passed=$(grep -c '^pass ' "$file" || true)
	failed=$(grep -c '^FAIL ' "$file" || true)
	echo "| ${run%%=*} | $passed | $((passed + failed)) |"
done
cat <<'M'

Tests that fail, and why:

| test | platforms | reason |
|---|---|---|
M
unknown=0
for run in "$@"; do
	sed -n 's/^FAIL \([^ ]*\).*/\1/p' "${run#*=}"
done | sort -u | {
	while read -r name; do
		platforms=
		for run in "$@"; do
			if grep -q "^FAIL $name " "${run#*=}"; then
				platforms="$platforms${platforms:+, }${run%%=*}"
			fi
		done
		reason=$(sed -n "s/^$name	//p" "$here/reasons.txt")
		if [ -z "$reason" ]; then
			echo "reasons.txt has no reason for $name" >&2
			unknown=1
		fi
		echo "| $name | $platforms | $reason |"
	done
	exit "$unknown"
}
