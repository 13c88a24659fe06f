#!/usr/bin/env bash
# Runs a program of the documentation in a folder of its own, where the files it names stand:
# dinov2_vits14_pretrain.pth (the real weights) and chest.png (a real chest X-ray), from ../shared.
#   run.sh PROGRAM SHARED_FOLDER needs|free
# `needs`: the program names such a file; without ../shared it is skipped (77).
set -euo pipefail
program=$1 shared=$2 needs=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [ "$needs" = needs ]; then
  weights=$shared/weights/dinov2_vits14/dinov2_vits14_pretrain.pth
  picture=$(find -L "$shared/data/cxr_lung_masks_v7/images" -name '*.png' 2>/dev/null | sort | head -n 1 || true)
  if [ ! -e "$weights" ] || [ -z "$picture" ]; then echo "skipped: needs ../shared"; exit 77; fi
  ln -s "$(realpath "$weights")" "$folder/dinov2_vits14_pretrain.pth"
  ln -s "$(realpath "$picture")" "$folder/chest.png"
fi
cd "$folder"
"$program"
