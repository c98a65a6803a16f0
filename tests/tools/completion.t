#!/bin/sh
# Completion in bash and zsh offers what the programs' tables of options hold.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$TMP" || exit 1
touch file

for tool in $tools; do
    "$tool" --options-as tsv >$tool.tsv
    for shell in bash zsh; do
        awk -v name=$tool -v shell=$shell -f "$ROOT/mk/completion.awk" $tool.tsv >$tool.$shell
    done
done

# completed SHELL SETUP WORDS PATTERN: true when an interactive shell, after its line SETUP, makes of
# WORDS and a tab what matches the pattern. It has 30 seconds.
completed() {
    "$PYTHON" -c '
import os, pty, re, select, sys, time
shell, setup, words, pattern = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execvp(shell, [shell, "--norc" if shell == "bash" else "-f", "-i"])
got, end = "", time.time() + 30

def wait(pattern):
    global got
    while not re.search(pattern, got) and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            got += os.read(fd, 65536).decode(errors="replace")
    return re.search(pattern, got)

os.write(fd, f"PS1=; {setup}; echo read''y\n".encode())
found = wait("ready\\r\n")
got = ""
os.write(fd, f"{words}\t\t".encode())
found = found and wait(pattern)
os.close(fd)
sys.exit(not found)' "$@"
}

# --- bash ----------------------------------------------------------------------------------------

# offered WORD...: what bash offers for the last word, sorted, in one line.
offered() {
    bash --norc -c '. "./$1.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "_charpipe_$1"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$@" | sort | paste -s -d ' ' -
}

if command -v bash >/dev/null; then
    for tool in $tools; do
        is "$(offered $tool --)" \
            "$(tail -n +2 $tool.tsv | cut -f 2 | sed 's/^/--/' | sort | paste -s -d ' ' -)" \
            "bash offers each long option of $tool, and no other"
        offered $tool - | tr ' ' '\n' | grep '^-.$' >letters
        tail -n +2 $tool.tsv | cut -f 1 | grep . | sed 's/^/-/' | sort >expected
        same letters expected "and each short one"
    done
    is "$(offered train --check)" "--checkpoint --checkpoint-every --checkpoint-keep" "a beginning narrows them"
    is "$(offered train -D '')" "auto cpu cuda" "a short option's choices are offered"
    is "$(offered train --device c)" "cpu cuda" "a long one's too"
    is "$(offered train --keep =)" "best last" "after --option= too"
    is "$(offered train --keep = b)" "best" "and a value that was begun"
    is "$(offered tokenize --unknown '')" "error skip" "of choices and a placeholder, the choices"
    is "$(offered train --lr '')" "" "of numbers, nothing"
    is "$(offered sample mod)" "" "operands are left to bash, which completes files"
    for tool in $tools; do
        ok "what $tool has for bash is loaded without a message" bash -n $tool.bash
    done
    is "$(bash --norc -c '. ./train.bash; complete -p train')" \
        "complete -o default -F _charpipe_train train" "bash knows whom to ask"
    completed bash '. ./train.bash' 'train --checkpoint-e' 'train --checkpoint-every'
    result "$?" "a tab completes an option"
    completed bash '. ./train.bash' 'train --keep=b' 'train --keep=best'
    result "$?" "and its value"
else
    skip "completion in bash" "no bash"
fi

# --- zsh -----------------------------------------------------------------------------------------

if command -v zsh >/dev/null; then
    # _arguments is shown what it would complete from.
    for tool in $tools; do
        zsh -f -c "_arguments() { print -rl -- \"\$@\" }; . ./$tool.zsh" >specs 2>err
        is "$(cat err)" "" "zsh reads what $tool has for it"
        sed -n 's/^[^[]*\(--[a-z0-9-]*\)[=[].*/\1/p' specs | sort >names
        tail -n +2 $tool.tsv | cut -f 2 | sed 's/^/--/' | sort >expected
        same names expected "and finds each of its long options there"
    done
    zsh -f -c "_arguments() { print -rl -- \"\$@\" }; . ./train.zsh" >specs
    like "$(cat specs)" '^\(-D --device\)--device=\[.*\]:auto\|cpu\|cuda:\(auto cpu cuda\)$' \
        "with its choices"
    like "$(cat specs)" '^--checkpoint=\[.*\]:FILE:_files$' "and its files"
    mkdir site
    for tool in train sample; do cp $tool.zsh site/_$tool; done
    setup='fpath=($PWD/site $fpath); autoload -Uz compinit; compinit -u -D'
    completed zsh "$setup" 'train --checkpoint-e' 'train --checkpoint-every'
    result "$?" "a tab completes an option"
    completed zsh "$setup" 'train --keep=b' 'train --keep=best'
    result "$?" "and its value"
else
    skip "completion in zsh" "no zsh"
fi

done_testing
