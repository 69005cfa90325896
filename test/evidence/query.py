"""Runs one SQL statement and prints its rows as JSON lines."""

import json
import sys

import duckdb

for row in duckdb.sql(sys.argv[1]).fetchall():
    print(json.dumps(row, default=str))
