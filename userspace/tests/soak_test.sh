#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Random updates, at full speed: see soak.c. `make soak` asks for more of them.

exec "${BUILD%-asan}/tests/soak" "${SOAK_UPDATES:-100000000}"
