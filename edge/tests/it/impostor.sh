#!/bin/sh
# A faulty worker of the sandbox. It is started by a link and sends the files "ready" and "answer" from the link's folder.
export PATH=/usr/bin:/bin
here=${0%/*}
# The settings have 24 bytes, the header of a request 12.
head -c 24 >/dev/null
cat "$here/ready"
head -c 12 >/dev/null
cat "$here/answer"
cat >/dev/null
