#pragma once

// The checkpoints of TensorFlow before tensor bundles ("version 1"): one sorted table a file,
// where the empty key lists the tensors and each slice's key holds its values. BundleReader
// reads them; docs/formats/tensor_bundle.md describes the bytes.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "format/tensor_slice.h"
#include "hub/tensor.h"

namespace hub {

// The paths that match a pattern with *, ? and [...], sorted; none is no error. A checkpoint of
// several files is named by such a pattern: "model.ckpt-7-*-of-00002".
std::vector<std::string> matching_files(const std::string& pattern);

// Whether BundleReader finds a checkpoint of either version under the prefix.
bool checkpoint_exists(const std::string& prefix);

// Writes a checkpoint of one file, which gets its name in finish().
class CheckpointV1Writer {
 public:
  explicit CheckpointV1Writer(std::string path) : path_(std::move(path)) {}

  // Errors: UNIMPLEMENTED for a dtype that the format lacks; INTERNAL where a name was given
  // with another shape or dtype before.
  void add(const std::string& name, const Tensor& tensor);
  // Errors: also INVALID_ARGUMENT where the tensor is not of the slice's shape.
  void add_slice(const std::string& name, const Shape& full_shape, const TensorSlice& slice,
                 const Tensor& tensor);
  void finish(const FileSystem& files = file_system());

 private:
  struct Named {
    DType dtype;
    Shape full_shape;
    std::vector<TensorSlice> slices;
  };

  std::string path_;
  std::map<std::string, Named> tensors_;
  std::map<std::string, std::string> values_;  // serialized, by the slice's key
};

}  // namespace hub
