#include "ops/onednn_conv.h"

#include <optional>
#include <span>

#include "ops/onednn_base.h"

namespace hub::dnn {
namespace {

using dnnl::memory;
using Dims = memory::dims;
using Tag = memory::format_tag;

constexpr auto kFloat32 = memory::data_type::f32;

// oneDNN's descriptors of a convolution's tensors.
struct Descs {
  explicit Descs(const ConvShape& shape) {
    const auto dims = static_cast<std::size_t>(shape.spatial_dims);
    const Tag channels_last = shape.spatial_dims == 3 ? Tag::ndhwc : Tag::nhwc;
    const auto data_dims = [&](std::int64_t channels, const std::array<std::int64_t, 3>& spatial) {
      Dims result{shape.batch, channels};
      result.insert(result.end(), spatial.begin(),
                    spatial.begin() + static_cast<std::ptrdiff_t>(dims));
      return result;
    };
    input = memory::desc(data_dims(shape.in_channels, shape.input), kFloat32, channels_last);
    output = memory::desc(data_dims(shape.out_channels, shape.output), kFloat32, channels_last);
    bias = memory::desc(Dims{shape.out_channels}, kFloat32, Tag::x);
    if (shape.groups > 1) filter_dims.push_back(shape.groups);
    filter_dims.push_back(shape.out_channels / shape.groups);
    filter_dims.push_back(shape.in_channels / shape.groups);
    for (std::size_t i = 0; i < dims; ++i) {
      filter_dims.push_back(shape.kernel[i]);
      strides.push_back(shape.stride[i]);
      dilates.push_back(shape.dilation[i] - 1);
      before.push_back(shape.before[i]);
      // What is left at the end: negative where the last window does not reach it.
      const std::int64_t reached =
          (shape.output[i] - 1) * shape.stride[i] + (shape.kernel[i] - 1) * shape.dilation[i] + 1;
      after.push_back(reached - shape.input[i] - shape.before[i]);
    }
  }

  // TensorFlow's layout: the output channels innermost, those of a group together.
  memory::desc user_filter(const ConvShape& shape, std::int64_t row_channels) const {
    Dims steps(filter_dims.size());
    std::size_t axis = 0;
    if (shape.groups > 1) steps[axis++] = shape.out_channels / shape.groups;
    steps[axis++] = 1;
    steps[axis++] = row_channels;
    std::int64_t step = row_channels * (shape.in_channels / shape.groups);
    for (std::size_t i = filter_dims.size(); i-- > axis;) {
      steps[i] = step;
      step *= filter_dims[i];
    }
    return memory::desc(filter_dims, kFloat32, steps);
  }

  memory::desc input, output, bias;
  Dims filter_dims, strides, dilates, before, after;
};

dnnl::primitive_attr attributes(const Epilogue& epilogue) {
  dnnl::post_ops ops;
  if (epilogue.accumulate) ops.append_sum(1.0f);
  if (epilogue.activation == Activation::kRelu)
    ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0, 0);
  if (epilogue.activation == Activation::kRelu6)
    ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_clip, 0, 6);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(ops);
  return attr;
}

using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardFilter = dnnl::convolution_backward_weights;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;

Forward::primitive_desc forward_desc(const Descs& d, const memory::desc& filter,
                                     const Epilogue& epilogue, dnnl::prop_kind kind) {
  const auto desc = epilogue.bias ? Forward::desc(kind, kDirect, d.input, filter, d.bias, d.output,
                                                  d.strides, d.dilates, d.before, d.after)
                                  : Forward::desc(kind, kDirect, d.input, filter, d.output,
                                                  d.strides, d.dilates, d.before, d.after);
  return Forward::primitive_desc(desc, attributes(epilogue), engine());
}

// Calls `use` with the descriptor of the primitive for a filter of this layout.
template <class Use>
void with_descriptor(ConvKind kind, const Descs& d, const memory::desc& filter,
                     const Epilogue& epilogue, Use use) {
  if (kind == ConvKind::kForward)
    return use(forward_desc(d, filter, epilogue, dnnl::prop_kind::forward_inference));
  // The backward primitives want a forward one as a hint; its choices do not bind.
  const memory::desc any(d.filter_dims, kFloat32, Tag::any);
  const auto hint = forward_desc(d, any, Epilogue{}, dnnl::prop_kind::forward_training);
  if (kind == ConvKind::kBackwardData) {
    const BackwardData::desc desc(kDirect, d.input, filter, d.output, d.strides, d.dilates,
                                  d.before, d.after);
    use(BackwardData::primitive_desc(desc, attributes({}), engine(), hint));
  } else {
    const BackwardFilter::desc desc(kDirect, d.input, filter, d.output, d.strides, d.dilates,
                                    d.before, d.after);
    use(BackwardFilter::primitive_desc(desc, attributes({}), engine(), hint));
  }
}

class PrimitiveConvolution final : public Convolution {
 public:
  PrimitiveConvolution(ConvKind kind, const ConvShape& shape, const Epilogue& epilogue,
                       const PrimitiveConvolution* like)
      : shape_(shape), epilogue_(epilogue), descs_(shape) {
    const memory::desc filter =
        like != nullptr ? like->filter_ : memory::desc(descs_.filter_dims, kFloat32, Tag::any);
    with_descriptor(kind, descs_, filter, epilogue, [&](const auto& desc) { take(desc); });
  }

  bool is_usable() const { return usable_; }

  const std::string& implementation() const override { return implementation_; }
  std::size_t packed_bytes() const override { return filter_.get_size(); }
  bool packs_like(const Convolution& other) const override {
    return filter_ == static_cast<const PrimitiveConvolution&>(other).filter_;
  }
  std::size_t scratch_bytes() const override { return scratch_.get_size(); }

  void pack(const float* filter, std::int64_t row_channels, void* packed) const override {
    reorder(memory_of(descs_.user_filter(shape_, row_channels), filter),
            memory_of(filter_, packed));
  }
  void unpack(const void* packed, float* filter) const override {
    reorder(memory_of(filter_, packed),
            memory_of(descs_.user_filter(shape_, shape_.out_channels), filter));
  }

  void run(float* input, void* packed, const float* bias, float* output,
           void* scratch) const override {
    std::array<void*, 5> data{input, packed, output, scratch, const_cast<float*>(bias)};
    executable_->run(std::span(data.data(), epilogue_.bias ? 5 : 4));
  }

 private:
  template <class Desc>
  void take(const Desc& desc) {
    implementation_ = desc.impl_info_str();
    usable_ = !is_reference(implementation_.c_str());
    if (!usable_) return;
    scratch_ = desc.scratchpad_desc();
    if constexpr (std::is_same_v<Desc, Forward::primitive_desc>) {
      filter_ = desc.weights_desc();
      make_executable(Forward(desc), DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST);
    } else if constexpr (std::is_same_v<Desc, BackwardData::primitive_desc>) {
      filter_ = desc.weights_desc();
      make_executable(BackwardData(desc), DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST);
    } else {
      filter_ = desc.diff_weights_desc();
      make_executable(BackwardFilter(desc), DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST);
    }
  }

  void make_executable(dnnl::primitive primitive, int input, int filter, int output) {
    std::vector<Executable::Argument> arguments{{input, descs_.input},
                                                {filter, filter_},
                                                {output, descs_.output},
                                                {DNNL_ARG_SCRATCHPAD, scratch_}};
    if (epilogue_.bias) arguments.push_back({DNNL_ARG_BIAS, descs_.bias});
    executable_.emplace(std::move(primitive), std::move(arguments));
  }

  static void reorder(memory from, memory to) {
    const SingleThread single;
    const dnnl::reorder primitive(from, to);
    execute(primitive, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }

  ConvShape shape_;
  Epilogue epilogue_;
  Descs descs_;
  std::string implementation_;
  bool usable_ = false;
  memory::desc filter_, scratch_;
  std::optional<Executable> executable_;
};

}  // namespace

std::int64_t ConvShape::in_pixels() const {
  std::int64_t product = 1;
  for (int i = 0; i < spatial_dims; ++i) product *= input[static_cast<std::size_t>(i)];
  return product;
}

std::int64_t ConvShape::out_pixels() const {
  std::int64_t product = 1;
  for (int i = 0; i < spatial_dims; ++i) product *= output[static_cast<std::size_t>(i)];
  return product;
}

std::int64_t ConvShape::filter_elements() const {
  if (groups == 0) return 0;  // no channels
  std::int64_t product = in_channels / groups * out_channels;
  for (int i = 0; i < spatial_dims; ++i) product *= kernel[static_cast<std::size_t>(i)];
  return product;
}

double ConvShape::flops() const {
  return 2.0 * static_cast<double>(batch) * static_cast<double>(out_pixels()) *
         static_cast<double>(filter_elements());
}

namespace {

// What `make` gives; nothing where oneDNN has no such primitive.
template <class Result, class Make>
Result unless_unimplemented(Make make) {
  const SingleThread single;
  try {
    return make();
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented || error.status == dnnl_invalid_arguments) return {};
    throw internal_error("oneDNN could not make a convolution. Details: status ",
                         static_cast<int>(error.status), ", ", error.what(), ".");
  }
}

}  // namespace

std::shared_ptr<const Convolution> Convolution::create(ConvKind kind, const ConvShape& shape,
                                                       const Epilogue& epilogue,
                                                       const Convolution* like) {
  using Result = std::shared_ptr<const PrimitiveConvolution>;
  return unless_unimplemented<Result>([&]() -> Result {
    auto result = std::make_shared<const PrimitiveConvolution>(
        kind, shape, epilogue, static_cast<const PrimitiveConvolution*>(like));
    return result->is_usable() ? result : nullptr;
  });
}

std::string Convolution::implementation(ConvKind kind, const ConvShape& shape,
                                        const Epilogue& epilogue) {
  return unless_unimplemented<std::string>([&] {
    const Descs descs(shape);
    const memory::desc any(descs.filter_dims, kFloat32, Tag::any);
    std::string name;
    with_descriptor(kind, descs, any, epilogue,
                    [&](const auto& desc) { name = desc.impl_info_str(); });
    return name;
  });
}

}  // namespace hub::dnn
