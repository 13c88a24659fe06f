// The umbrella of everything: vitals.hpp, the reference backend in double, and what measures a backbone: data sets, the
// study's protocols, metrics, reports.
#pragma once

#include <vitals/backend/cpu/cpu_double.hpp>
#include <vitals/data/augment.hpp>
#include <vitals/data/dataset.hpp>
#include <vitals/data/phantom.hpp>
#include <vitals/data/phantom_dataset.hpp>
#include <vitals/eval/augmented.hpp>
#include <vitals/eval/features.hpp>
#include <vitals/eval/few_shot.hpp>
#include <vitals/eval/knn.hpp>
#include <vitals/eval/linear_probe.hpp>
#include <vitals/eval/mlknn.hpp>
#include <vitals/eval/splits.hpp>
#include <vitals/io/csv.hpp>
#include <vitals/io/json.hpp>
#include <vitals/io/npy.hpp>
#include <vitals/io/npz.hpp>
#include <vitals/metrics/auroc.hpp>
#include <vitals/metrics/bootstrap.hpp>
#include <vitals/metrics/calibration.hpp>
#include <vitals/metrics/classification.hpp>
#include <vitals/metrics/confusion.hpp>
#include <vitals/metrics/curves.hpp>
#include <vitals/metrics/delong.hpp>
#include <vitals/metrics/ranking.hpp>
#include <vitals/metrics/resampled.hpp>
#include <vitals/metrics/score.hpp>
#include <vitals/metrics/task.hpp>
#include <vitals/report/classification.hpp>
#include <vitals/report/overlay.hpp>
#include <vitals/report/predictions.hpp>
#include <vitals/report/result.hpp>
#include <vitals/report/svg.hpp>
#include <vitals/vitals.hpp>
