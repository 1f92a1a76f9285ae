#!/bin/sh
# Every check that reads the code without running the product; all of them run, then the failed ones are named.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=""

check() {
    name=$1
    shift
    said=$("$@" 2>&1) || {
        printf '%s\n' "$said"
        failed="$failed, $name"
    }
}

check "ruff" $bin/ruff check --quiet .
check "ruff format" $bin/ruff format --check --quiet .
check "mypy" $bin/mypy
check "djlint" $bin/djlint --quiet --lint templates
check "import-linter" $bin/lint-imports
check "migrations" $bin/python manage.py makemigrations --check --dry-run
check "deployment" env ALLOWED_HOSTS=dashboard.example.com $bin/python manage.py check --deploy --fail-level WARNING
check "vendored files" $bin/python deploy/vendor.py check

if [ -n "$failed" ]; then
    echo "Failed: ${failed#, }." >&2
    exit 1
fi
echo "Clean: ruff, mypy, djlint, import-linter, migrations, deployment settings, vendored files."
