#!/bin/bash
# MLflow 3.17.2: a read by a newer release upgrades the database of a shared registry, or is refused until somebody upgrades it,
# and which of both depends on whether the newer release has a table more.
#
# The documented way is `mlflow db upgrade` after a backup. A release refuses a database of other tables ("Detected out-of-date
# database schema ... Take a backup"). But a table that is absent counts as an empty database, which is filled by all migrations,
# before this check. The release that wrote the database is then locked out of it.
#
# Seen, on a file of 3.15.2: 3.16.1, which adds columns and indexes, refuses to list the experiments. 3.17.2, which adds tables, lists them
# and leaves the file upgraded; 3.15.2 then refuses it.
# Exits 0 while a read by 3.17.2 upgrades the file and a read by 3.16.1 does not, 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true
python3 -m venv "$folder/venv"
cd "$folder"

take() { venv/bin/pip install --quiet "mlflow-skinny==$1" sqlalchemy==2.0.58 alembic==1.20.1 sqlparse pandas; }
list() { # list FILE: what a read of it says
  venv/bin/python -c "
import mlflow
mlflow.set_tracking_uri('sqlite:///$1')
print(mlflow.__version__, [one.name for one in mlflow.MlflowClient().search_experiments()])" 2>&1 | tail -n 1 | cut -c -150 || true # a refusal is a result
}
revision() { venv/bin/python -c "import sqlite3; print(sqlite3.connect('$1').execute('select version_num from alembic_version').fetchone()[0])"; }

take 3.15.2
list column.db
cp column.db table.db
before=$(revision column.db)
take 3.16.1
list column.db
take 3.17.2
list table.db
column=$(revision column.db) table=$(revision table.db)
take 3.15.2
list table.db
echo "revision: 3.15.2 wrote $before, after 3.16.1 $column, after 3.17.2 $table"
[ "$column" = "$before" ] && [ "$table" != "$before" ]
