// Graphs of layers as real TensorFlow writes them.

#include "train/training_graphs.h"

namespace hub {
namespace {

using layers::DataFormat;
using layers::Padding;

// As a lambda of Python's: scale * tf.nn.l2_loss(w).
Regularizer plain_l2(double scale) {
  return [scale](const Input& w) { return scale * ops::l2_loss(w); };
}
layers::Activation plain_l2_of_output(double scale) {
  return [scale](const Output& x) { return scale * ops::l2_loss(x); };
}

const Initializer kZeros = init::zeros();

std::vector<Case> dense_cases() {
  std::vector<Case> result;
  for (const bool resource : {false, true}) {
    const std::string tag = resource ? " resource" : "";
    result.push_back({"dense" + tag,
                      [](const Graph& g) {
                        return Results{layers::dense(x_of(g, {-1, 4}), 3)};
                      },
                      resource});
    result.push_back({"dense relu regularized" + tag,
                      [](const Graph& g) {
                        return Results{layers::dense(x_of(g, {-1, 4}), 3,
                                                     {.activation = ops::relu,
                                                      .kernel_initializer = kZeros,
                                                      .kernel_regularizer = plain_l2(0.1),
                                                      .bias_regularizer = plain_l2(0.5),
                                                      .name = "head"})};
                      },
                      resource});
    result.push_back(
        {"dense rank 3" + tag,
         [](const Graph& g) {
           return Results{layers::dense(x_of(g, {-1, 5, 4}), 3, {.kernel_initializer = kZeros})};
         },
         resource});
    result.push_back(
        {"conv2d" + tag,
         [](const Graph& g) {
           return Results{layers::conv2d(
               x_of(g, {-1, 5, 4, 2}), 3, 3,
               {.strides = 2, .padding = Padding::kSame, .kernel_initializer = kZeros})};
         },
         resource});
    result.push_back(
        {"batch_normalization fused training" + tag,
         [](const Graph& g) {
           return Results{layers::batch_normalization(x_of(g, {-1, 3, 3, 2}), {.training = true})};
         },
         resource});
    result.push_back({"batch_normalization training" + tag,
                      [](const Graph& g) {
                        return Results{layers::batch_normalization(
                            x_of(g, {-1, 3}), {.momentum = 0.4, .training = true})};
                      },
                      resource});
  }
  return result;
}

std::vector<Case> more_dense_cases() {
  return {
      {"dense rank 3 known",
       [](const Graph& g) {
         return Results{layers::dense(x_of(g, {2, 5, 4}), 3, {.kernel_initializer = kZeros})};
       }},
      {"dense activity",
       [](const Graph& g) {
         return Results{layers::dense(
             x_of(g, {2, 4}), 3,
             {.kernel_initializer = kZeros, .activity_regularizer = plain_l2_of_output(0.2)})};
       }},
      {"dense reuse",
       [](const Graph& g) {
         layers::DenseOptions options = {
             .kernel_initializer = kZeros, .kernel_regularizer = plain_l2(0.1), .name = "shared"};
         const Output a = layers::dense(x_of(g, {2, 4}), 3, options);
         options.reuse = Reuse::kYes;
         return Results{a, layers::dense(input(g, "z", {3, 4}), 3, options)};
       }},
      {"two dense",
       [](const Graph& g) {
         const layers::DenseOptions options = {.use_bias = false, .kernel_initializer = kZeros};
         const Output a = layers::dense(x_of(g, {2, 4}), 3, options);
         return Results{a, layers::dense(input(g, "z", {3, 4}), 3, options)};
       }},
      {"flatten",
       [](const Graph& g) {
         return Results{layers::flatten(x_of(g, {-1, 3, 2}))};
       }},
      {"flatten rank 1", [](const Graph& g) { return Results{layers::flatten(x_of(g, {3}))}; }},
      {"flatten known batch",
       [](const Graph& g) {
         return Results{layers::flatten(x_of(g, {4, -1, 2}))};
       }},
      {"flatten unknown",
       [](const Graph& g) {
         return Results{layers::flatten(x_of(g, {-1, -1, 2}))};
       }},
  };
}

std::vector<Case> conv_cases() {
  std::vector<Case> result = {
      {"conv1d",
       [](const Graph& g) {
         return Results{layers::conv1d(x_of(g, {-1, 6, 2}), 3, 3,
                                       {.strides = 2, .kernel_initializer = kZeros})};
       }},
      {"conv1d dilated",
       [](const Graph& g) {
         return Results{layers::conv1d(
             x_of(g, {1, 7, 2}), 2, 3,
             {.padding = Padding::kSame, .dilation_rate = 2, .kernel_initializer = kZeros})};
       }},
      {"conv2d dilated",
       [](const Graph& g) {
         return Results{layers::conv2d(x_of(g, {1, 6, 5, 1}), 2, 3,
                                       {.dilation_rate = {2, 1}, .kernel_initializer = kZeros})};
       }},
      {"conv2d channels first",
       [](const Graph& g) {
         return Results{layers::conv2d(x_of(g, {-1, 2, 6, 5}), 2, 3,
                                       {.data_format = DataFormat::kChannelsFirst,
                                        .activation = ops::relu6,
                                        .kernel_initializer = kZeros})};
       }},
      {"conv3d",
       [](const Graph& g) {
         return Results{layers::conv3d(x_of(g, {1, 3, 4, 3, 1}), 2, 2,
                                       {.strides = {1, 2, 1}, .kernel_initializer = kZeros})};
       }},
      {"conv2d_transpose unknown size",
       [](const Graph& g) {
         return Results{layers::conv2d_transpose(x_of(g, {-1, -1, -1, 2}), 3, {4, 3},
                                                 {.strides = {2, 1},
                                                  .padding = Padding::kSame,
                                                  .use_bias = false,
                                                  .kernel_initializer = kZeros})};
       }},
      {"conv3d_transpose",
       [](const Graph& g) {
         return Results{layers::conv3d_transpose(
             x_of(g, {1, 2, 2, 2, 2}), 2, 2,
             {.strides = {1, 2, 2}, .padding = Padding::kSame, .kernel_initializer = kZeros})};
       }},
      {"separable_conv2d",
       [](const Graph& g) {
         return Results{layers::separable_conv2d(x_of(g, {1, 5, 4, 2}), 3, {3, 2},
                                                 {.strides = 2,
                                                  .padding = Padding::kSame,
                                                  .depth_multiplier = 2,
                                                  .depthwise_initializer = kZeros,
                                                  .pointwise_initializer = kZeros})};
       }},
      {"separable_conv2d dilated",
       [](const Graph& g) {
         return Results{layers::separable_conv2d(x_of(g, {1, 5, 4, 2}), 3, 2,
                                                 {.dilation_rate = 2,
                                                  .use_bias = false,
                                                  .depthwise_initializer = kZeros,
                                                  .pointwise_initializer = kZeros})};
       }},
  };
  for (const Padding padding : {Padding::kSame, Padding::kValid}) {
    const std::string tag = padding == Padding::kSame ? " same" : " valid";
    result.push_back({"separable_conv1d" + tag, [padding](const Graph& g) {
                        return Results{layers::separable_conv1d(x_of(g, {-1, 5, 2}), 3, 3,
                                                                {.padding = padding,
                                                                 .depth_multiplier = 2,
                                                                 .depthwise_initializer = kZeros,
                                                                 .pointwise_initializer = kZeros})};
                      }});
    result.push_back({"conv2d_transpose" + tag, [padding](const Graph& g) {
                        return Results{layers::conv2d_transpose(
                            x_of(g, {-1, 3, 2, 2}), 3, 3,
                            {.strides = 2, .padding = padding, .kernel_initializer = kZeros})};
                      }});
  }
  return result;
}

std::vector<Case> pool_cases() {
  using layers::PoolOptions;
  const PoolOptions by_two = {.strides = 2};
  const PoolOptions same = {.strides = 2, .padding = Padding::kSame};
  return {
      {"max_pooling1d",
       [=](const Graph& g) {
         return Results{layers::max_pooling1d(x_of(g, {-1, 6, 2}), 3, by_two)};
       }},
      {"max_pooling2d",
       [=](const Graph& g) {
         return Results{layers::max_pooling2d(x_of(g, {-1, 5, 6, 2}), {2, 3}, same)};
       }},
      {"max_pooling3d",
       [=](const Graph& g) {
         return Results{layers::max_pooling3d(x_of(g, {1, 3, 4, 3, 2}), 2, by_two)};
       }},
      {"average_pooling1d",
       [=](const Graph& g) {
         return Results{layers::average_pooling1d(x_of(g, {-1, 6, 2}), 3, by_two)};
       }},
      {"average_pooling2d",
       [=](const Graph& g) {
         return Results{layers::average_pooling2d(x_of(g, {-1, 5, 6, 2}), {2, 3}, same)};
       }},
      {"average_pooling3d",
       [=](const Graph& g) {
         return Results{layers::average_pooling3d(x_of(g, {1, 3, 4, 3, 2}), 2, by_two)};
       }},
  };
}

Output training_of(const Graph& g) { return input(g, "training", Shape{}, kBool); }

std::vector<Case> normalization_cases() {
  using layers::batch_normalization;
  return {
      {"batch_normalization inference",
       [](const Graph& g) {
         return Results{batch_normalization(x_of(g, {-1, 3}))};
       }},
      {"batch_normalization fused inference",
       [](const Graph& g) {
         return Results{batch_normalization(x_of(g, {-1, 2, 2, 3}))};
       }},
      {"batch_normalization unfused rank 4",
       [](const Graph& g) {
         return Results{batch_normalization(x_of(g, {2, 2, 2, 3}),
                                            {.axis = 1, .training = true, .fused = false})};
       }},
      {"batch_normalization no scale",
       [](const Graph& g) {
         return Results{batch_normalization(
             x_of(g, {2, 3, 2, 2}), {.scale = false, .training = true, .trainable = false})};
       }},
      {"batch_normalization no center",
       [](const Graph& g) {
         return Results{batch_normalization(x_of(g, {4, 2}), {.center = false,
                                                              .beta_regularizer = plain_l2(0.2),
                                                              .gamma_regularizer = plain_l2(0.1),
                                                              .training = true})};
       }},
      {"batch_normalization training tensor",
       [](const Graph& g) {
         const Output training = training_of(g);
         return Results{
             batch_normalization(x_of(g, {2, 2, 2, 2}), {.momentum = 0.7, .training = training})};
       }},
      {"batch_normalization training tensor unfused",
       [](const Graph& g) {
         const Output training = training_of(g);
         return Results{batch_normalization(
             x_of(g, {2, 2, 2, 2}), {.momentum = 0.7, .training = training, .fused = false})};
       }},
      {"dropout",
       [](const Graph& g) {
         return Results{
             layers::dropout(x_of(g, {3, 4}), {.rate = 0.3, .seed = 17, .training = true})};
       }},
      {"dropout unknown batch",
       [](const Graph& g) {
         return Results{layers::dropout(x_of(g, {-1, 4}), {.rate = 0.3, .training = true})};
       }},
      {"dropout noise shape",
       [](const Graph& g) {
         return Results{
             layers::dropout(x_of(g, {3, 4}), {.noise_shape = {3, 1}, .training = true})};
       }},
      {"dropout noise shape unknown",
       [](const Graph& g) {
         return Results{
             layers::dropout(x_of(g, {3, 4}), {.noise_shape = {-1, 1}, .training = true})};
       }},
      {"dropout inference",
       [](const Graph& g) {
         return Results{layers::dropout(x_of(g, {3, 4}))};
       }},
      {"dropout zero",
       [](const Graph& g) {
         return Results{layers::dropout(x_of(g, {3, 4}), {.rate = 0, .training = true})};
       }},
      {"dropout tensor",
       [](const Graph& g) {
         const Output x = x_of(g, {3, 4});
         return Results{layers::dropout(x, {.seed = 3, .training = training_of(g)})};
       }},
  };
}

Variable table_of(const Graph& g, int parts = 0) {
  VariableOptions options = {.initializer = kZeros};
  if (parts > 0) options.partitioner = partition::fixed_size(parts);
  return get_variable(g, "table", {5, 3}, options);
}

Case lookup_case(const std::string& title, int parts, const layers::EmbeddingOptions& options,
                 bool resource = false) {
  return {title,
          [=](const Graph& g) {
            const Variable table = table_of(g, parts);
            return Results{layers::embedding_lookup(table, input(g, "ids", {-1}, kInt32), options)};
          },
          resource};
}

Case sparse_lookup_case(const std::string& title, layers::Combiner combiner, bool weighted,
                        bool resource = false) {
  return {title,
          [=](const Graph& g) {
            const Variable table = table_of(g);
            SparseValue ids;
            ids.indices = input(g, "indices", {-1, 2}, kInt64);
            ids.dense_shape = input(g, "shape", {2}, kInt64);
            ids.values = input(g, "ids", {-1}, kInt64);
            SparseValue weights;
            if (weighted) weights = {ids.indices, input(g, "weights", {-1}), ids.dense_shape};
            return Results{
                layers::embedding_lookup_sparse(table, ids, weights, {.combiner = combiner})};
          },
          resource};
}

std::vector<Case> embedding_cases() {
  using layers::Combiner;
  return {
      lookup_case("embedding_lookup", 0, {}),
      lookup_case("embedding_lookup resource", 0, {}, true),
      lookup_case("embedding_lookup max norm", 0, {.max_norm = 1.0}),
      lookup_case("embedding_lookup parts mod", 2, {}),
      lookup_case("embedding_lookup parts div", 2,
                  {.partition_strategy = layers::PartitionStrategy::kDiv}),
      sparse_lookup_case("embedding_lookup_sparse mean", Combiner::kMean, false),
      sparse_lookup_case("embedding_lookup_sparse sum", Combiner::kSum, false),
      sparse_lookup_case("embedding_lookup_sparse sqrtn", Combiner::kSqrtN, false),
      sparse_lookup_case("embedding_lookup_sparse weighted mean", Combiner::kMean, true),
      sparse_lookup_case("embedding_lookup_sparse weighted sum", Combiner::kSum, true),
      sparse_lookup_case("embedding_lookup_sparse weighted sqrtn", Combiner::kSqrtN, true),
      sparse_lookup_case("embedding_lookup_sparse resource", Combiner::kMean, false, true),
  };
}

class LayerGraphsTest : public ::testing::TestWithParam<Case> {};

TEST_P(LayerGraphsTest, IsTensorFlows) { expect_tensorflows_graph(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Dense, LayerGraphsTest, ::testing::ValuesIn(dense_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(MoreDense, LayerGraphsTest, ::testing::ValuesIn(more_dense_cases()),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Conv, LayerGraphsTest, ::testing::ValuesIn(conv_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Pool, LayerGraphsTest, ::testing::ValuesIn(pool_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Normalization, LayerGraphsTest, ::testing::ValuesIn(normalization_cases()),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Embedding, LayerGraphsTest, ::testing::ValuesIn(embedding_cases()),
                         name_of);

}  // namespace
}  // namespace hub
