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
project=${TMPDIR:-/tmp}/libc-test-$platform
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
$oxk build "$project" --plat "$platform" >&2
# What starts the image, without looking each time whether it is to be built.
line=$($oxk run "$project" --plat "$platform" --dry-run -- TEST-NAME)
passed=0
failed=0
while read -r name _; do
	code=0
	command=$(echo "$line" | sed "s|TEST-NAME|$name|")
	output=$(cd "$project" && timeout 20 sh -c "exec $command" 2>&1 < /dev/null) || code=$?
	if [ "$code" = 0 ]; then
		passed=$((passed + 1))
		echo "pass $name"
	else
		failed=$((failed + 1))
		echo "FAIL $name (exit code $code)"
		echo "$output" | sed -n 's/^/    /; 1,5p'
	fi
done < "$project/names"
echo "$platform: $passed of $((passed + failed)) passed"
