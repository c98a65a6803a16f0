#!/bin/sh
exec "${PYTHON:-/usr/bin/python3}" -B tests/hosts/faults.py
