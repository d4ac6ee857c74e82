#!/bin/sh
# Sizes of an image, layer by layer, largest first: sh scripts/image_sizes.sh [IMAGE]. Needs Docker with the image built.
set -eu
image=${1:-rex-desk:cpu}
command -v docker >/dev/null 2>&1 || { echo "docker is not installed" >&2; exit 1; }
docker image inspect "$image" >/dev/null 2>&1 || { echo "no image $image: docker build --build-arg TARGET=cpu -t $image ." >&2; exit 1; }
total=$(docker image inspect --format '{{.Size}}' "$image")
docker history --no-trunc --human=false --format '{{.Size}}	{{.CreatedBy}}' "$image" |
    sort -rn | awk -F '\t' -v total="$total" '
        { gsub(/[ \t]+/, " ", $2); if ($1 > 0) printf "%10.1f MB %5.1f %%  %s\n", $1 / 1e6, 100 * $1 / total, substr($2, 1, 90) }
        END { printf "%10.1f MB         together\n", total / 1e6 }'
