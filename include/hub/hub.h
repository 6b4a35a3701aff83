#pragma once

// Everything that the library offers.

#include "hub/control_flow.h"
#include "hub/error.h"
#include "hub/gradients.h"
#include "hub/graph.h"
#include "hub/graph_module.h"
#include "hub/meta_graph.h"
#include "hub/module.h"
#include "hub/module_spec.h"
#include "hub/ops.h"
#include "hub/optimizers.h"
#include "hub/resolver.h"
#include "hub/saver.h"
#include "hub/session.h"
#include "hub/tensor.h"
#include "hub/text.h"
#include "hub/value.h"
#include "hub/variables.h"
