#!/bin/sh
exec "${PYTHON:-/usr/bin/python3}" tests/tools/hostile.py short
