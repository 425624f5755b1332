#!/usr/bin/env bash
# Walk through an installed llmpath as a new user would: init, next, quiz, grade.
# usage: wheel.sh LLMPATH WORKSPACE
set -euo pipefail
llmpath=$1
workspace=$2
"$llmpath" --version
"$llmpath" init "$workspace"
cd "$workspace"
"$llmpath" next >/dev/null
"$llmpath" next --skip >/dev/null
"$llmpath" list
"$llmpath" data show --samples 1 >/dev/null
"$llmpath" models list
# The doctor exits with 1 where something is to be mended, such as a missing editor.
course=$( { "$llmpath" doctor --json || true; } | "$(dirname "$llmpath")/python" -c 'import json,sys; print(json.load(sys.stdin)["course"])')
for file in */*.py; do
  lab=$(basename "$file" .py)
  lab=${lab//_/-}
  # The starter does not pass; the reference does.
  if "$llmpath" grade "$lab" >/dev/null; then echo "the starter of $lab passed"; exit 1; fi
  "$llmpath" grade "$lab" --file "$course/labs/$lab/lab.py"
done
