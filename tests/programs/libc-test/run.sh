#!/bin/sh
# Runs libc-test, the test suite of musl, as an image: tests/programs/libc-test/run.sh FOLDER [PLATFORM]
#
# FOLDER has the sources of libc-test, which are not part of this repository. Prints a line for each
# test, and how many passed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
platform=${2:-linuxu}
oxk=${OXK:-"cargo run -q --manifest-path $here/../../../Cargo.toml -p oxk --"}
# One for all platforms: the objects are the same.
project=${TMPDIR:-/tmp}/libc-test
mkdir -p "$project"
cp "$here/make.sh" "$here/main.c" "$project/"
echo "$source" > "$project/source"
cat > "$project/oxk.toml" <<'M'
name = "libc-test"
kind = "c"
memory = "128M"
libraries = ["rootfs", "posix-poll", "posix-eventfd", "posix-proc"]
[c]
sources = ["main.c"]
make = ["sh", "make.sh"]
objects = ["objects/*.o"]
# Without a limit it would have no number of blocks, which one test wants.
[options.rootfs]
size = "64M"
[providers]
files = "posix-files"
sched = "ukschedpreempt"
M
# Builds the image, once, and says what starts it.
line=$($oxk run "$project" --plat "$platform" --dry-run -- TEST-NAME)
# A machine of QEMU leaves the exit code, one byte, in a file that is named there.
code_file=$(echo "$line" | sed -n 's/.*file,id=code,path=\([^ ]*\).*/\1/p')
passed=0
failed=0
while read -r name _; do
	code=0
	command=$(echo "$line" | sed "s|TEST-NAME|$name|")
	[ -z "$code_file" ] || : > "$code_file"
	output=$(cd "$project" && timeout 30 sh -c "exec $command" 2>&1 < /dev/null) || code=$?
	# 124 is a machine that was stopped after that time.
	if [ -n "$code_file" ] && [ "$code" != 124 ]; then
		code=$(tail -c 1 "$code_file" | od -An -tu1 | tr -d ' ')
	fi
	if [ "$code" = 0 ]; then
		passed=$((passed + 1))
		echo "pass $name"
	else
		failed=$((failed + 1))
		echo "FAIL $name (exit code ${code:-none})"
		echo "$output" | sed -n 's/^/    /; 1,5p'
	fi
done < "$project/names"
[ -z "$code_file" ] || rm -f "$code_file"
echo "$platform: $passed of $((passed + failed)) passed"
