#!/bin/sh
# A worker of the sandbox that sends wrong answers. It is started through a symbolic link. Its output is the content of the files
# "ready" and "answer" beside that symbolic link.
export PATH=/usr/bin:/bin
here=${0%/*}
# The settings have 24 bytes, the header of a request has 12 (edge/src/sandbox/wire.rs).
head -c 24 >/dev/null
cat "$here/ready"
head -c 12 >/dev/null
cat "$here/answer"
cat >/dev/null
