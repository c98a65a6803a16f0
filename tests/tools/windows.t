#!/bin/sh
# Every window that batchify cuts is the one that the notebooks' get_batches yields.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"

seed=${CHARPIPE_SEED:-2026}
diag "seed $seed (CHARPIPE_SEED sets another)"
windows=$ROOT/tests/tools/windows.py

ok "the windows of random texts, sizes, splits and targets are get_batches' own" \
    "$PYTHON" "$windows" random "$seed" 150
ok "so are those of texts that are gathered in several pieces, and of huge batches" \
    "$PYTHON" "$windows" large "$seed"

if needs_anna "Anna Karenina gives the notebooks' batches"; then
    tokenize -u "$ANNA" >"$TMP/anna.tokens"
    is "$(batchify "$TMP/anna.tokens" | sed -n '/^batches/p;/^\.\.\.$/q')" \
        "batches: {train: 139, validation: 15, test: 0}" \
        "Anna Karenina gives 139 and 15 batches of 128 x 100"
    is "$(batchify -n 100 "$TMP/anna.tokens" | sed -n '/^batches/p;/^\.\.\.$/q')" \
        "batches: {train: 178, validation: 19, test: 0}" \
        "and 178 and 19 of 100 x 100"
fi

done_testing
