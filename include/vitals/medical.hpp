// The umbrella of medical files: NIfTI, DICOM and MATLAB's .mat. It needs nifti_clib, GDCM and HDF5; what the other
// umbrellas reach does not. With CMake: vitals::medical (compiled), or vitals::medical_headers (header-only).
#pragma once

#include <vitals/data/nifti_volumes.hpp>
#include <vitals/io/dicom.hpp>
#include <vitals/io/dicom_series.hpp>
#include <vitals/io/matlab.hpp>
#include <vitals/io/nifti.hpp>
#include <vitals/io/orientation.hpp>
#include <vitals/io/volume.hpp>
