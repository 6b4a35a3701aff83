#include "ops/onednn_matmul.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include "ops/kernels/few_rows.h"
#include "ops/onednn_base.h"

namespace hub::dnn {
namespace {

using dnnl::memory;

// Rows are computed in blocks of a few fixed sizes and columns in panels of one width. Blocks
// of other sizes would be compiled anew for each m; and oneDNN's order of summation follows m
// where m is large.
constexpr std::int64_t kMaxPanel = 384;
constexpr std::int64_t kPanelUnit = 48;  // columns of gemm:jit's kernel with AVX-512
constexpr std::int64_t kRows = 64;
// Without AVX-512 only multiples of 4 that leave 0 or 4 rows beside blocks of 6 give each row
// the same bits (gemm:jit has other kernels for the last 1 to 3 rows).
constexpr std::array<std::int64_t, 7> kBlocks = {64, 32, 16, 8, 4, 2, 1};
constexpr std::array<std::int64_t, 3> kBlocksOfGemm = {64, 16, 4};
// More plans than that: a caller with ever new sizes.
constexpr std::size_t kMaxPlans = 512;

memory::desc matrix(std::int64_t rows, std::int64_t columns, std::int64_t row_stride,
                    std::int64_t column_stride) {
  return memory::desc({rows, columns}, memory::data_type::f32,
                      memory::dims{row_stride, column_stride});
}

Error from_onednn(const dnnl::error& error) {
  if (error.status == dnnl_out_of_memory)
    return resource_exhausted("There is not enough memory for a matrix product.");
  return internal_error("oneDNN refused a matrix product. Details: ", error.message, ".");
}

enum class Right : std::uint8_t { kPlain, kTransposed, kPacked };

// What one primitive computes: [rows,k] * [k,columns], of matrices with n columns.
struct Key {
  std::int64_t rows, k, columns, n;
  Right right;
  auto operator<=>(const Key&) const = default;
};

struct Plan {
  memory::desc a, b, c;
  std::size_t scratch_bytes = 0;
  std::optional<Executable> executable;
  bool is_gemm = false;  // not one of the kernels for which any number of rows is the same

  explicit Plan(const Key& key) {
    const SingleThread single;
    a = matrix(key.rows, key.k, key.k, 1);
    // A dense panel of its own: where there is one panel, that is the whole row.
    c = matrix(key.rows, key.columns, key.n, 1);
    if (key.right == Right::kPacked) {
      b = memory::desc({key.k, key.columns}, memory::data_type::f32, memory::format_tag::any);
    } else if (key.right == Right::kTransposed) {
      b = matrix(key.k, key.columns, 1, key.k);
    } else {
      b = matrix(key.k, key.columns, key.n, 1);
    }
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes,
                                                   engine());
    b = description.weights_desc();
    const memory::desc scratch = description.scratchpad_desc();
    scratch_bytes = scratch.get_size();
    executable.emplace(dnnl::matmul(description),
                       std::vector<Executable::Argument>{{DNNL_ARG_SRC, a},
                                                         {DNNL_ARG_WEIGHTS, b},
                                                         {DNNL_ARG_DST, c},
                                                         {DNNL_ARG_SCRATCHPAD, scratch}});
    is_gemm = std::string_view(description.impl_info_str()).find("brg") != 0;
  }
};

struct Block {
  std::int64_t begin;
  std::int64_t rows;    // used ones
  std::int64_t padded;  // of the primitive
};

// Blocks that cover m rows.
template <std::size_t kCount>
void append_blocks(const std::array<std::int64_t, kCount>& sizes, std::int64_t m,
                   std::vector<Block>& blocks) {
  std::int64_t begin = 0;
  while (begin < m) {
    const std::int64_t left = m - begin;
    std::int64_t size = *std::find_if(
        sizes.begin(), sizes.end(), [&](std::int64_t s) { return s <= left || s == sizes.back(); });
    // A small rest is better padded than cut into ever smaller pieces.
    if (left < 16)
      size = *std::find_if(sizes.rbegin(), sizes.rend(), [&](std::int64_t s) { return s >= left; });
    blocks.push_back({begin, std::min(size, left), size});
    begin += size;
  }
}

}  // namespace

void* Scratch::get(std::size_t size) {
  constexpr std::size_t kAlignment = 64;
  if (size + kAlignment > bytes_.size()) bytes_.resize(size + kAlignment);
  void* start = bytes_.data();
  std::size_t space = bytes_.size();
  return std::align(kAlignment, size, start, space);
}

class PackedMatrix {
 public:
  std::int64_t k = 0;
  std::int64_t n = 0;
  Tensor storage;
  std::vector<std::byte*> panels;
  // In their place: for a few rows.
  std::optional<PanelMatrix> few_rows;
  std::vector<std::int64_t> parts;
};

class Matmul::Plans {
 public:
  std::shared_ptr<const Plan> find(const Key& key) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const Plan>& plan = plans_[key];
    if (plan == nullptr) {
      if (plans_.size() > kMaxPlans) {
        plans_.clear();
        return plans_[key] = std::make_shared<const Plan>(key);
      }
      plan = std::make_shared<const Plan>(key);
    }
    return plan;
  }

 private:
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Plan>> plans_;
};

Matmul::Matmul() : plans_(std::make_unique<Plans>()) {}
Matmul::~Matmul() = default;

namespace {

// How n columns are cut.
struct Panels {
  explicit Panels(std::int64_t columns)
      : n(columns),
        width(units(n, units(n, kMaxPanel) * kPanelUnit) * kPanelUnit),
        count(units(n, width)) {}

  static std::int64_t units(std::int64_t size, std::int64_t unit) {
    return (size + unit - 1) / unit;
  }
  std::int64_t begin(std::int64_t panel) const { return panel * width; }
  std::int64_t size(std::int64_t panel) const { return std::min(width, n - begin(panel)); }

  std::int64_t n;
  std::int64_t width;
  std::int64_t count;
};

// All products of a batch: (product, block of rows, panel of columns) is a unit of work.
class Run {
 public:
  template <class FindPlan>
  Run(const MatmulShape& shape, Right right, FindPlan&& find_plan)
      : shape_(shape), right_(right), panels_(shape.n) {
    const bool is_gemm = find_plan(key(kRows, 0))->is_gemm;
    if (is_gemm) {
      append_blocks(kBlocksOfGemm, shape.m, blocks_);
    } else {
      append_blocks(kBlocks, shape.m, blocks_);
    }
    // One plan for each size of block and width of panel.
    for (const Block& block : blocks_) {
      for (const std::int64_t panel : {std::int64_t{0}, panels_.count - 1}) {
        const auto id = std::pair(block.padded, panels_.size(panel));
        if (!plans_.contains(id)) plans_[id] = find_plan(key(block.padded, panel));
      }
    }
  }

  std::int64_t units() const { return static_cast<std::int64_t>(blocks_.size()) * panels_.count; }
  double unit_cost_ns() const {
    const auto rows = static_cast<double>(std::min(shape_.m, kRows));
    return static_cast<double>(shape_.k * panels_.size(0)) * (0.1 + rows * 0.012) + 1000;
  }

  // What unit `index` computes.
  MatmulBlock block(std::int64_t index) const {
    const Block& rows = blocks_[static_cast<std::size_t>(index / panels_.count)];
    const std::int64_t panel = index % panels_.count;
    return {rows.begin, rows.rows, panels_.begin(panel), panels_.size(panel)};
  }

  // `b_of(panel)` is where the panel of b begins.
  template <class FindB>
  void unit(std::int64_t index, const float* a, float* c, FindB&& b_of, Scratch& scratch,
            Scratch& padding) const {
    const Block& block = blocks_[static_cast<std::size_t>(index / panels_.count)];
    const std::int64_t panel = index % panels_.count;
    const std::int64_t width = panels_.size(panel);
    const Plan& plan = *plans_.at({block.padded, width});
    const float* from = a + block.begin * shape_.k;
    float* to = c + block.begin * shape_.n + panels_.begin(panel);
    if (block.rows == block.padded) {
      execute(plan, from, b_of(panel), to, scratch);
      return;
    }
    const auto used = static_cast<std::size_t>(block.rows * shape_.k);
    const auto whole = static_cast<std::size_t>(block.padded * shape_.k);
    // The primitive's rows of c are n apart, so the last one needs no more than its panel.
    const auto result = static_cast<std::size_t>((block.padded - 1) * shape_.n + width);
    auto* padded = static_cast<float*>(padding.get((whole + result) * sizeof(float)));
    std::copy_n(from, used, padded);
    std::fill(padded + used, padded + whole, 0.0F);
    execute(plan, padded, b_of(panel), padded + whole, scratch);
    for (std::int64_t row = 0; row < block.rows; ++row) {
      std::copy_n(padded + whole + row * shape_.n, width, to + row * shape_.n);
    }
  }

 private:
  Key key(std::int64_t rows, std::int64_t panel) const {
    return {rows, shape_.k, panels_.size(panel), shape_.n, right_};
  }

  static void execute(const Plan& plan, const float* a, const void* b, float* c, Scratch& scratch) {
    const std::array<void*, 4> data{const_cast<float*>(a), const_cast<void*>(b), c,
                                    scratch.get(plan.scratch_bytes)};
    plan.executable->run(data);
  }

  MatmulShape shape_;
  Right right_;
  Panels panels_;
  std::vector<Block> blocks_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::shared_ptr<const Plan>> plans_;
};

}  // namespace

void Matmul::multiply(KernelContext& context, const MatmulShape& shape,
                      std::span<const MatmulOperands> batch) const try {
  const Right right = shape.b_transposed ? Right::kTransposed : Right::kPlain;
  const Run run(shape, right, [&](const Key& key) { return plans_->find(key); });
  const Panels panels(shape.n);
  const auto units = run.units() * static_cast<std::int64_t>(batch.size());
  context.parallel_for(units, run.unit_cost_ns(), [&](std::int64_t begin, std::int64_t end) {
    const SingleThread single;
    Scratch scratch, padding;
    for (std::int64_t i = begin; i < end; ++i) {
      const MatmulOperands& operands = batch[static_cast<std::size_t>(i / run.units())];
      const auto b_of = [&](std::int64_t panel) {
        return operands.b + panels.begin(panel) * (shape.b_transposed ? shape.k : 1);
      };
      run.unit(i % run.units(), operands.a, operands.c, b_of, scratch, padding);
    }
  });
} catch (const dnnl::error& error) {
  throw from_onednn(error);
}

// For many rows; for so few that reading b is all the time; for some.
int Matmul::layout(const MatmulShape& shape) {
  // Smaller matrices stay in the caches.
  constexpr std::int64_t kLargeMatrix = std::int64_t{1} << 17;
  static const bool has_product = fastest_few_rows_product() != nullptr;
  if (!has_product || shape.m > kFewRows || shape.k * shape.n < kLargeMatrix) return 0;
  return PanelMatrix::panel_columns(shape.m) == PanelMatrix::panel_columns(1) ? 1 : 2;
}

namespace {

// How oneDNN's kernels with AVX-512 cut k: an element's bits are to be those of many rows.
std::vector<std::int64_t> parts_of(std::int64_t k, bool is_gemm) {
  constexpr std::int64_t kGemmPart = 384;
  const std::int64_t large_part = k <= 1024 ? 512 : 1024;
  std::vector<std::int64_t> parts;
  for (std::int64_t left = k; left > 0; left -= parts.back()) {
    if (!is_gemm) {
      parts.push_back(std::min(left, large_part));
    } else if (left >= 2 * kGemmPart) {
      parts.push_back(kGemmPart);
    } else {
      parts.push_back(left > kGemmPart ? (left + 1) / 2 : left);
    }
  }
  return parts;
}

std::shared_ptr<const PackedMatrix> pack_for_few_rows(KernelContext& context, const float* b,
                                                      const MatmulShape& shape, bool is_gemm) {
  auto packed = std::make_shared<PackedMatrix>();
  packed->k = shape.k;
  packed->n = shape.n;
  packed->parts = parts_of(shape.k, is_gemm);
  PanelMatrix& panels = packed->few_rows.emplace(shape.m, shape.k, shape.n);
  const std::int64_t row_step = shape.b_transposed ? 1 : shape.n;
  const std::int64_t column_step = shape.b_transposed ? shape.k : 1;
  context.parallel_for(panels.panels(), static_cast<double>(shape.k * panels.columns()),
                       [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t panel = begin; panel < end; ++panel)
                           panels.pack(panel, b, row_step, column_step);
                       });
  return packed;
}

void multiply_few_rows(KernelContext& context, std::int64_t m, const float* a,
                       const PackedMatrix& packed, float* c, Matmul::FinishBlock finish) {
  static const FewRowsProduct product = fastest_few_rows_product();
  const PanelMatrix& b = *packed.few_rows;
  const double cost = static_cast<double>(b.k() * b.columns()) * 0.1;
  context.parallel_for(b.panels(), cost, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t column = panel * b.columns();
      for (std::int64_t row = 0; row < m; row += b.max_rows()) {
        const std::int64_t rows = std::min(b.max_rows(), m - row);
        product(a + row * b.k(), rows, b, panel, packed.parts, c + row * b.n());
        finish({row, rows, column, std::min(b.columns(), b.n() - column)});
      }
    }
  });
}

}  // namespace

std::shared_ptr<const PackedMatrix> Matmul::pack(KernelContext& context, const float* b,
                                                 const MatmulShape& shape) const try {
  const Panels panels(shape.n);
  if (layout(shape) != 0) {
    const Key many_rows{kRows, shape.k, panels.size(0), shape.n, Right::kPacked};
    return pack_for_few_rows(context, b, shape, plans_->find(many_rows)->is_gemm);
  }
  auto packed = std::make_shared<PackedMatrix>();
  packed->k = shape.k;
  packed->n = shape.n;
  std::vector<std::shared_ptr<const Plan>> plans;
  std::vector<std::size_t> offsets;
  std::size_t size = 0;
  for (std::int64_t panel = 0; panel < panels.count; ++panel) {
    plans.push_back(plans_->find({kRows, shape.k, panels.size(panel), shape.n, Right::kPacked}));
    offsets.push_back(size);
    size += (plans.back()->b.get_size() + 63) / 64 * 64;
  }
  packed->storage = Tensor(DType::kUint8, Shape{static_cast<std::int64_t>(size)});
  for (const std::size_t offset : offsets) {
    packed->panels.push_back(static_cast<std::byte*>(packed->storage.mutable_raw_data()) + offset);
  }
  context.parallel_for(
      panels.count, static_cast<double>(shape.k * panels.width),
      [&](std::int64_t begin, std::int64_t end) {
        const SingleThread single;
        dnnl::stream stream(engine());
        for (std::int64_t panel = begin; panel < end; ++panel) {
          const std::int64_t width = panels.size(panel);
          const float* start = b + panels.begin(panel) * (shape.b_transposed ? shape.k : 1);
          const auto from_desc = shape.b_transposed ? matrix(shape.k, width, 1, shape.k)
                                                    : matrix(shape.k, width, shape.n, 1);
          memory from(from_desc, engine(), const_cast<float*>(start));
          memory to(plans[static_cast<std::size_t>(panel)]->b, engine(),
                    packed->panels[static_cast<std::size_t>(panel)]);
          dnnl::reorder(from, to).execute(stream, from, to);
        }
      });
  return packed;
} catch (const dnnl::error& error) {
  throw from_onednn(error);
}

void Matmul::multiply(KernelContext& context, std::int64_t m, const float* a, const PackedMatrix& b,
                      float* c, FinishBlock finish) const try {
  if (b.few_rows) return multiply_few_rows(context, m, a, b, c, finish);
  const Run run({m, b.k, b.n, false}, Right::kPacked,
                [&](const Key& key) { return plans_->find(key); });
  context.parallel_for(run.units(), run.unit_cost_ns(), [&](std::int64_t begin, std::int64_t end) {
    const SingleThread single;
    Scratch scratch, padding;
    const auto b_of = [&](std::int64_t panel) { return b.panels[static_cast<std::size_t>(panel)]; };
    for (std::int64_t i = begin; i < end; ++i) {
      run.unit(i, a, c, b_of, scratch, padding);
      finish(run.block(i));
    }
  });
} catch (const dnnl::error& error) {
  throw from_onednn(error);
}

struct BlockProduct::Run {
  MatmulShape shape;
  dnn::Run run;
};

BlockProduct::BlockProduct(std::unique_ptr<const Run> run) : run_(std::move(run)) {}
BlockProduct::BlockProduct(BlockProduct&&) noexcept = default;
BlockProduct::~BlockProduct() = default;

BlockProduct Matmul::block_product(const MatmulShape& shape) const try {
  const Right right = shape.b_transposed ? Right::kTransposed : Right::kPlain;
  return BlockProduct(std::make_unique<const BlockProduct::Run>(BlockProduct::Run{
      shape, Run(shape, right, [&](const Key& key) { return plans_->find(key); })}));
} catch (const dnnl::error& error) {
  throw from_onednn(error);
}

void BlockProduct::run(const float* a, const float* b, float* c, MatmulWorkspace& workspace) const
    try {
  const Panels panels(run_->shape.n);
  const std::int64_t step = run_->shape.b_transposed ? run_->shape.k : 1;
  const auto b_of = [&](std::int64_t panel) { return b + panels.begin(panel) * step; };
  for (std::int64_t i = 0; i < run_->run.units(); ++i)
    run_->run.unit(i, a, c, b_of, workspace.scratch, workspace.padding);
} catch (const dnnl::error& error) {
  throw from_onednn(error);
}

}  // namespace hub::dnn
