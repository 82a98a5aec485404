# Sourced by bin/steadypath and bin/dev: makes .venv be what a lock file says. POSIX sh; needs Python 3.11+ and nothing else.
# Everything it says goes to stderr: stdout belongs to the command that follows.

say() { printf 'steadypath: %s\n' "$1" >&2; }

find_python() {
    for candidate in ${STEADYPATH_PYTHON:+"$STEADYPATH_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# environment ROOT LOCKFILE: quick where .venv was made from these very bytes of the lock file (a copy of it lies inside).
environment() {
    if cmp -s "$1/$2" "$1/.venv/installed/$2" && [ -x "$1/.venv/bin/python" ]; then
        return 0
    fi
    if ! python=$(find_python); then
        say "needs Python 3.11 or newer, and found none on the PATH (name one with STEADYPATH_PYTHON)"
        return 1
    fi
    "$python" -I "$1/bin/bootstrap.py" "$2"
}
