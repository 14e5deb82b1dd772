#!/bin/sh
# A compiler launcher that runs another compiler: COMPILER CACHE REPLACED ARGUMENTS...
# CACHE is a compiler cache, or `env` where there is none.
compiler=$1
cache=$2
shift 3
exec "$cache" "$compiler" "$@"
