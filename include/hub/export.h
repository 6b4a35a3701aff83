#pragma once

// Marks what the shared library offers; everything else stays hidden.
#define HUB_EXPORT __attribute__((visibility("default")))
