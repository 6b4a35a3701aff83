// The command-line program: the cases in tests/cli/*.json, each a command and what it must
// say. The text "TMP" in arguments stands for an empty folder of the case's own; commands run
// in the project's folder.

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/strings.h"

namespace hub::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string replaced(std::string text, std::string_view from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.replace(at, from.size(), to);
    at += to.size();
  }
  return text;
}

// Lines joined, or the text itself.
std::string text_of(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  std::string text;
  for (const Json& line : json) text += line.get<std::string>() + "\n";
  return text;
}

// Objects may have more members than are wanted.
void expect_contains(const Json& got, const Json& want) {
  if (want.is_object() && got.is_object()) {
    for (const auto& [key, value] : want.items()) {
      ASSERT_TRUE(got.contains(key)) << key;
      expect_contains(got.at(key), value);
    }
  } else if (want.is_array() && got.is_array() && want.size() == got.size()) {
    for (std::size_t i = 0; i < want.size(); ++i) expect_contains(got[i], want[i]);
  } else {
    EXPECT_EQ(got, want);
  }
}

class CliTest : public ::testing::TestWithParam<Json> {
 protected:
  // The exit status; the outputs are read.
  int run(const std::vector<std::string>& args) {
    std::string command = cat("cd ", quoted(TF1HUB_SOURCE_DIR), " && ", quoted(TF1HUB_CLI));
    for (const std::string& arg : args) {
      command += " " + quoted(replaced(arg, "TMP", temp_.path()));
    }
    const std::string out = temp_.path() + "/stdout.txt";
    const std::string err = temp_.path() + "/stderr.txt";
    const int status = std::system(cat(command, " >", quoted(out), " 2>", quoted(err)).c_str());
    stdout_ = read_file(out);
    stderr_ = read_file(err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  TempDirectory temp_;
  std::string stdout_;
  std::string stderr_;
};

TEST_P(CliTest, DoesWhatItsTableSays) {
  const Json& test = GetParam();
  const Json files = test.value("files", Json::object());
  for (const auto& [name, content] : files.items()) {
    write_file_atomically(cat(temp_.path(), "/", name), text_of(content));
  }
  const auto args = test.at("args").get<std::vector<std::string>>();
  EXPECT_EQ(run(args), test.value("status", 0)) << stderr_;
  if (test.contains("stdout")) {
    EXPECT_EQ(stdout_, text_of(test.at("stdout")));
  }
  if (test.contains("stdout_json")) expect_contains(Json::parse(stdout_), test.at("stdout_json"));
  for (const Json& part : test.value("stdout_has", Json::array())) {
    EXPECT_THAT(stdout_, HasSubstr(part.get<std::string>()));
  }
  for (const Json& part : test.value("stderr_has", Json::array())) {
    EXPECT_THAT(stderr_, HasSubstr(part.get<std::string>()));
  }
  if (test.value("status", 0) == 0) {
    EXPECT_EQ(stderr_, "");
  } else if (!test.contains("stdout_has")) {
    EXPECT_EQ(stdout_, "");
  }
  const Json written = test.value("writes", Json::object());
  for (const auto& [name, content] : written.items()) {
    EXPECT_EQ(Json::parse(read_file(cat(temp_.path(), "/", name))), content);
  }
}

std::vector<Json> cases() {
  std::vector<Json> all;
  const std::string folder = TF1HUB_SOURCE_DIR "/tests/cli";
  for (const std::string& file : list_directory(folder)) {
    if (!file.ends_with(".json")) continue;
    for (Json& test : Json::parse(read_file(cat(folder, "/", file)))) {
      test["file"] = file.substr(0, file.size() - 5);
      all.push_back(std::move(test));
    }
  }
  return all;
}

std::string case_name(const ::testing::TestParamInfo<Json>& test) {
  return cat(test.param.at("file").get<std::string>(), "_",
             test.param.at("name").get<std::string>());
}

INSTANTIATE_TEST_SUITE_P(All, CliTest, ::testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace hub::testing
