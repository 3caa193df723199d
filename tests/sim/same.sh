#!/bin/sh
# One seed gives one run: in a row, alone, and in several processes the hashes are the same.
set -eu
sim=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$sim" --seeds 60 --hashes 2>/dev/null >"$dir/row"
"$sim" --seeds 60 --hashes --jobs 3 2>/dev/null | sort -n >"$dir/jobs"
cmp "$dir/row" "$dir/jobs"
for seed in 7 28 33; do
	"$sim" --seed $seed --hashes 2>/dev/null >"$dir/alone"
	grep "^$seed " "$dir/row" | cmp - "$dir/alone"
done
[ "$(cut -d' ' -f2 "$dir/row" | sort -u | wc -l)" = 60 ] # and each seed another
