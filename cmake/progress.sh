#!/bin/bash
# Reads ninja's output and prints it for people: on a terminal one line that overwrites itself, elsewhere a line for
# each tenth of the work. What is no step, such as errors, is printed as it is.
shown=0
while IFS= read -r line; do
  if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
    done=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
    if [ -t 1 ]; then
      printf '\r\e[K%.100s' "$line"
    elif ((done * 10 / all > shown)); then
      shown=$((done * 10 / all))
      echo "built $done of $all"
    fi
  else
    printf '%s\n' "$line"
  fi
done
[ ! -t 1 ] || printf '\r\e[K'
