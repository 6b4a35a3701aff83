#include "format/checkpoint_v1.h"

#include <glob.h>

#include "base/errors.h"
#include "format/bundle_values.h"
#include "format/proto/tensor_slices.pb.h"
#include "format/proto_convert.h"
#include "format/table.h"

namespace hub {

std::vector<std::string> matching_files(const std::string& pattern) {
  ::glob_t found = {};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return paths;
}

bool checkpoint_exists(const std::string& prefix) {
  if (path_exists(bundle_index_path(prefix))) return true;
  const std::vector<std::string> files = matching_files(prefix);
  return !files.empty() && !is_directory(files.front());
}

namespace {

void check_dtype(DType dtype) {
  switch (dtype) {
    case DType::kUint32:
    case DType::kUint64:
    case DType::kBfloat16:
    case DType::kQint16:
    case DType::kQuint16:
    case DType::kResource:
    case DType::kVariant:
    case DType::kInvalid:
      throw unimplemented("A checkpoint of version 1 cannot hold this dtype. Details: ", dtype,
                          ".");
    default: return;
  }
}

}  // namespace

void CheckpointV1Writer::add(const std::string& name, const Tensor& tensor) {
  TensorSlice all;
  all.extents.resize(static_cast<std::size_t>(tensor.rank()));
  add_slice(name, tensor.shape(), all, tensor);
}

void CheckpointV1Writer::add_slice(const std::string& name, const Shape& full_shape,
                                   const TensorSlice& slice, const Tensor& tensor) {
  check_dtype(tensor.dtype());
  const Shape shape = slice_shape(resolve_slice(slice, full_shape));
  if (!(shape == tensor.shape())) {
    throw invalid_argument("A tensor must have its slice's shape. Details: \"", printable(name),
                           "\" is ", tensor.shape(), ", the slice ", slice, " is ", shape, ".");
  }
  Named& named = tensors_.try_emplace(name, Named{tensor.dtype(), full_shape, {}}).first->second;
  if (named.dtype != tensor.dtype() || !(named.full_shape == full_shape)) {
    throw internal_error("The slices of a tensor must agree. Details: \"", printable(name),
                         "\" was ", named.dtype, " ", named.full_shape, " and is ", tensor.dtype(),
                         " ", full_shape, ".");
  }
  named.slices.push_back(slice);
  std::string& value = values_[slice_key(name, slice)];
  if (!value.empty()) return;  // TensorFlow keeps the first
  pb::SavedTensorSlices message;
  message.mutable_data()->set_name(name);
  write_tensor_slice(slice, *message.mutable_data()->mutable_slice());
  write_typed_values(tensor, *message.mutable_data()->mutable_data());
  value = serialize_binary(message);
}

void CheckpointV1Writer::finish(const FileSystem& files) {
  pb::SavedTensorSlices message;
  for (const auto& [name, named] : tensors_) {
    auto& out = *message.mutable_meta()->add_tensor();
    out.set_name(name);
    write_shape(named.full_shape, *out.mutable_shape());
    out.set_type(static_cast<pb::DataType>(named.dtype));
    for (const TensorSlice& slice : named.slices) write_tensor_slice(slice, *out.add_slice());
  }
  message.mutable_meta()->mutable_versions()->set_producer(kBundleVersion);
  TableWriter table;
  table.add("", serialize_binary(message));
  for (const auto& [key, value] : values_) table.add(key, value);
  write_file_atomically(path_, table.finish(), IfExists::kReplace, files);
}

}  // namespace hub
