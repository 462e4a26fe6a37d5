#!/bin/bash
# compiles_as_one.sh SOURCE BUILD: what `make demo` builds, a target's sources as one. Two files that give one name to
# things of their own clash there and nowhere else.
set -euo pipefail
cmake -G Ninja -S "$1" -B "$2" -DNETSERV_TESTS=OFF -DNETSERV_OPTIMISE="-O0 -g0 -w -U_FORTIFY_SOURCE" -DCMAKE_UNITY_BUILD=ON >/dev/null
read -ra targets < <(make -s -C "$1" demo-targets)
cmake --build "$2" --target "${targets[@]}"
