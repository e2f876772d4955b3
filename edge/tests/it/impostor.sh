#!/bin/sh
# A worker of the sandbox that lies. Called by a link: what it says lies beside that link, in the files "ready" and "answer".
export PATH=/usr/bin:/bin
here=${0%/*}
# Settings are 24 bytes, a request's header 12.
head -c 24 >/dev/null
cat "$here/ready"
head -c 12 >/dev/null
cat "$here/answer"
cat >/dev/null
