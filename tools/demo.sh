#!/usr/bin/env bash
# From a fresh machine to a trained VisualBERT: environment, sample world, VQA fine-tuning through MMF, predictions, a table.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv="${VENV:-.venv}"
[[ $venv = /* ]] || venv="$PWD/$venv"
save="${DEMO_SAVE:-save/demo}"
config=projects/visualbert/configs/vqa2/sample.yaml

bash tools/setup.sh
export PATH="$venv/bin:$PATH"

echo "== sample world: data/sample"
visualbert sample-data --out data/sample

echo "== training: mmf_run config=$config"
rm -rf "$save"
mmf_run config=$config env.save_dir="$save/train" training.seed=1

best="$save/train/best.ckpt"
echo "== the same model with its regions hidden"
mmf_run config=$config env.save_dir="$save/hidden" run_type=val training.seed=1 \
    checkpoint.resume_file="$best" checkpoint.reset.all=true model_config.visualbert.hide_regions=true

echo "== predictions for the test split"
mmf_predict config=$config env.save_dir="$save/predict" env.report_dir="$save/predictions" run_type=test training.seed=1 \
    checkpoint.resume_file="$best" checkpoint.reset.all=true

python tools/demo_summary.py --data data/sample --save "$save"

echo "== region features of photographs, by detectron2"
if python -c 'import sys; from mmf_visualbert.compat.optional import has_detectron2; sys.exit(not has_detectron2())'; then
    # DEMO_PHOTOS: a folder of your own; without it the sample world's pictures stand in. DEMO_WEIGHTS: zoo downloads some.
    visualbert extract --detector detectron_r101_fpn --weights "${DEMO_WEIGHTS:-random:0}" --quiet \
        --most 36 --least 36 --shortest 320 --images "${DEMO_PHOTOS:-data/sample/images/test2015/*0.png}" \
        --out "$save/regions.lmdb"
    visualbert features check "$save/regions.lmdb" --quiet
else
    echo "left out: detectron2 is not installed (docs/features.md says how)"
fi

echo "== a page of the run: numbers, curves, calibration, examples"
visualbert report "$save/train" --out "$save/report.html"
