#include "hub/saver.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "base/file.h"
#include "hub/hub.h"

namespace hub::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<float> floats(const Tensor& tensor) {
  return {tensor.values<float>().begin(), tensor.values<float>().end()};
}

// w [2], and v [3,1] in two parts.
struct Model {
  Graph graph;
  Variable w = get_variable(graph, "w", {2}, {.initializer = init::ones()});
  Variable v =
      get_variable(graph, "v", {3, 1},
                   {.initializer = init::constant(2), .partitioner = partition::fixed_size(2)});
  Session session{graph};
};

TEST(SaverTest, WhatIsSavedIsRestored) {
  const TempDirectory folder;
  Model first;
  first.session.initialize();
  first.session.set_variable(first.w.op(), make_vector<float>({5, 6}));
  Saver saver(first.graph);
  const std::string prefix = saver.save(first.session, folder.path() + "/model", 10);
  EXPECT_EQ(prefix, folder.path() + "/model-10");
  EXPECT_EQ(latest_checkpoint(folder.path()), prefix);
  EXPECT_TRUE(path_exists(prefix + ".meta"));
  const auto listed = list_variables(folder.path());
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].name, "v");
  EXPECT_EQ(listed[0].shape, Shape({3, 1}));
  EXPECT_THAT(floats(load_variable(folder.path(), "v")), ElementsAre(2, 2, 2));

  Model second;
  Saver(second.graph).restore(second.session, prefix);
  EXPECT_THAT(floats(second.session.variable(second.w.op())), ElementsAre(5, 6));
  EXPECT_THAT(floats(second.session.run(Output(second.v))), ElementsAre(2, 2, 2));
}

TEST(SaverTest, OldCheckpointsAreRemoved) {
  const TempDirectory folder;
  Model model;
  model.session.initialize();
  Saver saver(model.graph, {.max_to_keep = 2});
  for (int step = 1; step <= 4; ++step) saver.save(model.session, folder.path() + "/model", step);
  EXPECT_THAT(saver.last_checkpoints(),
              ElementsAre(folder.path() + "/model-3", folder.path() + "/model-4"));
  EXPECT_FALSE(path_exists(folder.path() + "/model-2.index"));
  EXPECT_FALSE(path_exists(folder.path() + "/model-2.meta"));
  EXPECT_TRUE(path_exists(folder.path() + "/model-3.index"));
  Saver next(model.graph, {.max_to_keep = 2});
  next.recover_last_checkpoints(folder.path());
  EXPECT_EQ(next.last_checkpoints(), saver.last_checkpoints());
}

TEST(SaverTest, WhatDoesNotFitChangesNothing) {
  const TempDirectory folder;
  Model model;
  Saver saver(model.graph);
  EXPECT_THAT([&] { saver.save(model.session, folder.path() + "/model"); },
              ThrowsMessage<Error>(HasSubstr("not initialized")));
  EXPECT_FALSE(path_exists(folder.path() + "/model.index"));
  EXPECT_FALSE(latest_checkpoint(folder.path()));
  model.session.initialize();
  const std::string prefix = saver.save(model.session, folder.path() + "/model");

  Graph other;
  const Variable a = get_variable(other, "v", {3, 1}, {.initializer = init::zeros()});
  const Variable b = get_variable(other, "w", {3}, {.initializer = init::zeros()});
  Session session(other);
  session.initialize();
  EXPECT_THAT([&] { Saver(other).restore(session, prefix); },
              ThrowsMessage<Error>(HasSubstr("of its dtype and shape")));
  EXPECT_THAT(floats(session.variable(a.op())), ElementsAre(0, 0, 0));
  EXPECT_THAT(
      [&] {
        Saver(other, {.variables = {{"x", b}}}).restore(session, prefix);
      },
      ThrowsMessage<Error>(HasSubstr("Key x not found in checkpoint")));
  EXPECT_THAT([] { Saver{Graph()}; }, ThrowsMessage<Error>(HasSubstr("No variables to save")));
}

TEST(SaverTest, WarmStartTakesWhatIsNamed) {
  const TempDirectory folder;
  Model model;
  model.session.initialize();
  const std::string prefix = Saver(model.graph).save(model.session, folder.path() + "/model");
  Graph graph;
  const Variable mine = get_variable(graph, "tower/v", {3, 1}, {.initializer = init::zeros()});
  get_variable(graph, "head", {2}, {.initializer = init::zeros()});
  Session session(graph);
  session.initialize();
  const auto started = warm_start(session, folder.path(),
                                  [](const Variable& variable) -> std::optional<std::string> {
                                    if (!variable.name().starts_with("tower/")) return std::nullopt;
                                    return variable.name().substr(6);
                                  });
  EXPECT_THAT(started, ElementsAre("tower/v"));
  EXPECT_THAT(floats(session.variable(mine.op())), ElementsAre(2, 2, 2));
}

}  // namespace
}  // namespace hub::train
