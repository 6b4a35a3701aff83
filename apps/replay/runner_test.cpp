#include "replay/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <set>
#include <string>
#include <vector>

#include "base/errors.h"

namespace hub::replay {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Unit unit_of(std::string id, Replay replay) {
  return {.id = std::move(id), .open = [replay = std::move(replay)] { return replay; }};
}

std::vector<std::string> reasons_of(const std::vector<Unit>& units, const RunSettings& settings) {
  std::vector<std::string> reasons;
  run_units(units, settings,
            [&](const Unit&, const Outcome& outcome) { reasons.push_back(outcome.reason); });
  return reasons;
}

TEST(RunnerTest, AllModesAreTheProductOfThree) {
  const auto modes = all_modes(4);
  EXPECT_THAT(modes, SizeIs(8));
  std::set<std::string> texts;
  for (const EngineOptions& mode : modes) texts.insert(mode_text(mode));
  EXPECT_THAT(texts, SizeIs(8));
  EXPECT_TRUE(texts.contains("passes off, 4 threads, frames"));
}

TEST(RunnerTest, OutcomesComeInTheOrderOfTheUnits) {
  std::vector<Unit> units;
  for (int i = 0; i < 100; ++i) {
    units.push_back(unit_of(cat(i), [i](const EngineOptions&) { throw Mismatch(i); }));
  }
  std::vector<std::string> ids;
  run_units(units, {.modes = {{}}, .runners = 4}, [&](const Unit& unit, const Outcome& outcome) {
    EXPECT_THAT(outcome.reason, HasSubstr(unit.id));
    ids.push_back(unit.id);
  });
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ids[static_cast<std::size_t>(i)], cat(i));
}

TEST(RunnerTest, AReasonNamesTheModeThatFails) {
  const auto reasons = reasons_of({unit_of("x",
                                           [](const EngineOptions& mode) {
                                             if (!mode.passes) throw invalid_argument("the rule");
                                           })},
                                  {.modes = all_modes(2)});
  EXPECT_THAT(reasons, ElementsAre(HasSubstr("[passes off, 2 threads, structured] "
                                             "INVALID_ARGUMENT: the rule")));
}

TEST(RunnerTest, WhateverIsThrownFailsOnlyItsUnit) {
  const auto reasons =
      reasons_of({unit_of("a", [](const EngineOptions&) { throw std::bad_alloc(); }),
                  unit_of("b", [](const EngineOptions&) {})},
                 {.modes = {{}}});
  EXPECT_THAT(reasons, ElementsAre(HasSubstr("no hub::Error"), ""));
}

TEST(RunnerTest, AKnownExceptionIsNotRunAndFails) {
  bool ran = false;
  const auto reasons = reasons_of({unit_of("a", [&](const EngineOptions&) { ran = true; })},
                                  {.modes = {{}}, .exceptions = {{"a", "why"}}});
  EXPECT_THAT(reasons, ElementsAre("known exception: why"));
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace hub::replay
