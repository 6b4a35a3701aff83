#pragma once

// Everything that the library offers.

#include "hub/error.h"
#include "hub/module.h"
#include "hub/tensor.h"
