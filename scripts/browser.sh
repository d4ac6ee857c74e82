#!/bin/sh
# Makes sure that Chromium and a Chinese font are there for the browser tests; never fails: without them those tests skip.
set -u
cd "$(dirname "$0")/.."
. scripts/privilege.sh

missing=
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v chromedriver >/dev/null 2>&1 || missing="$missing chromium-driver"
if ! ls /usr/share/fonts/*/noto/NotoSansCJK* >/dev/null 2>&1; then
    # Any Chinese font will do where fontconfig knows one.
    { command -v fc-list >/dev/null 2>&1 && [ -n "$(fc-list :lang=zh 2>/dev/null)" ]; } || missing="$missing fonts-noto-cjk"
fi
[ -n "$missing" ] || exit 0

echo "Browser tests need:$missing"
# shellcheck disable=SC2086  # several packages
if ! apt_install $missing; then
    echo "Could not install it here; the browser tests will skip. To run them:"
    echo "    sudo apt-get update && sudo apt-get install$missing"
fi
exit 0
