// tf1hub embed: texts to vectors.

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "base/errors.h"
#include "base/file.h"
#include "cli/arrays.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/prepared.h"
#include "cli/table.h"
#include "common/npy.h"
#include "module/text_feed.h"
#include "tensor/dispatch.h"

namespace hub::cli {
namespace {

constexpr std::size_t kTableRows = 20;
constexpr std::int64_t kTableColumns = 6;
constexpr std::size_t kTextBytes = 32;

struct EmbedCommand {
  ModelOptions model;
  std::vector<std::string> texts;  // or one file
  std::string output_key;
  std::string output;
  std::string vocabulary;
  std::string letter_case;
  std::int64_t max_length = 128;
  std::int64_t batch_size = 64;
};

std::vector<std::string> read_texts(const EmbedCommand& command) {
  const std::vector<std::string>& given = command.texts;
  if (given.empty() && ::isatty(STDIN_FILENO) != 0) {
    throw UsageError("Say what to embed: texts, a file with a text on each line, or - (a pipe)");
  }
  if (given.empty() || given == std::vector<std::string>{"-"}) {
    return lines_of(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  }
  if (given.size() == 1 && path_exists(given[0]) && !is_directory(given[0])) {
    return lines_of(read_file(given[0]));
  }
  return given;
}

TextFeedOptions feed_options(const EmbedCommand& command) {
  TextFeedOptions options{.vocabulary = command.vocabulary, .max_length = command.max_length};
  if (!command.letter_case.empty()) options.lower_case = command.letter_case == "lower";
  return options;
}

// The vectors of batches, one after the other.
class Rows {
 public:
  // Of the batch, the first `count` rows.
  void add(const Tensor& batch, std::int64_t count, std::int64_t total) {
    if (batch.shape().rank() != 2 || batch.dim(0) < count) {
      throw UsageError(cat("An output with a vector for each text is wanted. This one is ",
                           batch.dtype(), " ", batch.shape(), " for ", count, " texts"));
    }
    if (filled_ == 0) all_ = Tensor(batch.dtype(), Shape{total, batch.dim(1)});
    HUB_ASSERT(all_.dim(1) == batch.dim(1) && all_.dtype() == batch.dtype());
    dispatch(Floats{}, batch.dtype(), [&]<class T>() {
      std::copy_n(batch.data<T>(), count * batch.dim(1),
                  all_.mutable_data<T>() + filled_ * batch.dim(1));
    });
    filled_ += count;
  }
  const Tensor& all() const { return all_; }

 private:
  Tensor all_{kFloat, Shape{0, 0}};
  std::int64_t filled_ = 0;
};

Tensor embed_all(const EmbedCommand& command, const ModelRunner& runner,
                 const std::string& signature, const std::string& key,
                 const std::vector<std::string>& texts) {
  const TextFeed feed(runner, signature, feed_options(command));
  const auto size = static_cast<std::size_t>(
      feed.batch_size().value_or(std::max<std::int64_t>(1, command.batch_size)));
  const CallOptions wanted{.outputs = std::set<std::string>{key}};
  Rows rows;
  for (std::size_t begin = 0; begin < texts.size(); begin += size) {
    const std::size_t count = std::min(size, texts.size() - begin);
    std::vector<std::string> batch(texts.begin() + static_cast<std::ptrdiff_t>(begin),
                                   texts.begin() + static_cast<std::ptrdiff_t>(begin + count));
    if (feed.batch_size()) batch.resize(size);
    const TensorMap outputs = runner.call(signature, feed.inputs(batch), wanted);
    rows.add(outputs.at(key), static_cast<std::int64_t>(count),
             static_cast<std::int64_t>(texts.size()));
  }
  return rows.all();
}

// A line for each text, with as many digits as tell a number apart from its neighbours.
std::string csv(const Tensor& vectors) {
  std::string text;
  dispatch(Floats{}, vectors.dtype(), [&]<class T>() {
    using Printed = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const std::int64_t width = vectors.dim(1);
    for (std::int64_t i = 0; i < vectors.num_elements(); ++i) {
      text += fmt::format("{}{}", static_cast<Printed>(vectors.data<T>()[i]),
                          (i + 1) % width == 0 ? '\n' : ',');
    }
  });
  return text;
}

void print_table(const std::string& key, const Tensor& vectors,
                 const std::vector<std::string>& texts) {
  fmt::print("{}  {} {}\n", printable(key), dtype_name(vectors.dtype()),
             to_string(vectors.shape()));
  std::vector<std::vector<std::string>> rows;
  dispatch(Floats{}, vectors.dtype(), [&]<class T>() {
    const std::int64_t width = vectors.dim(1);
    for (std::size_t row = 0; row < std::min(texts.size(), kTableRows); ++row) {
      std::vector<std::string> cells = {'"' + printable(texts[row], kTextBytes) + '"'};
      const T* values = vectors.data<T>() + static_cast<std::int64_t>(row) * width;
      for (std::int64_t i = 0; i < std::min(width, kTableColumns); ++i)
        cells.push_back(fmt::format("{:.6g}", static_cast<float>(values[i])));
      if (width > kTableColumns) cells.push_back("...");
      rows.push_back(std::move(cells));
    }
  });
  if (texts.size() > kTableRows) rows.push_back({"..."});
  fmt::print("{}", aligned(rows, 2));
}

bool is_output_name(const std::string& name) {
  return name == "-" ||
         std::ranges::any_of(
             std::initializer_list<std::string_view>{".npy", ".npz", ".json", ".csv"},
             [&](std::string_view end) { return name.ends_with(end); });
}

void write(const std::string& path, const std::string& key, const Tensor& vectors) {
  if (path == "-") {
    fmt::print("{}", csv(vectors));
  } else if (path.ends_with(".csv")) {
    write_file_atomically(path, csv(vectors));
  } else if (path.ends_with(".npy")) {
    write_file_atomically(path, serialize_npy(vectors));
  } else {
    write_outputs(path, {{key, vectors}});
  }
}

ExitStatus embed(const EmbedCommand& command) {
  if (!command.output.empty() && !is_output_name(command.output)) {
    throw UsageError("Vectors are written to a .npy, .npz, .json or .csv file, or to -, not " +
                     command.output);
  }
  const std::vector<std::string> texts = read_texts(command);
  const std::unique_ptr<const ModelRunner> runner = open_model(command.model).runner;
  const std::string signature =
      command.model.signature.empty() ? text_signature_name(*runner) : command.model.signature;
  const BoundSignature& bound =
      checking_usage([&]() -> const BoundSignature& { return runner->signature(signature); });
  if (!command.output_key.empty() && !bound.outputs.contains(command.output_key)) {
    throw UsageError(cat("Signature '", signature, "' has no output '", command.output_key, "'"));
  }
  const std::string key = command.output_key.empty()
                              ? checking_usage([&] { return vector_output_name(bound); })
                              : command.output_key;
  const Tensor vectors = embed_all(command, *runner, signature, key, texts);
  if (command.output.empty()) {
    print_table(key, vectors, texts);
  } else {
    write(command.output, key, vectors);
  }
  return kDone;
}

}  // namespace

CommandEntry add_embed(CLI::App& program) {
  auto options = std::make_shared<EmbedCommand>();
  CLI::App* command = program.add_subcommand("embed", "Turn texts into vectors");
  add_model_options(*command, options->model);
  command->add_option("TEXT", options->texts,
                      "Texts; or one file with a text on each line; none or -: standard input");
  command->add_option(
      "--output-key", options->output_key,
      "Output of the signature; default: default, pooled_output or the only matrix");
  command->add_option("--output", options->output,
                      "Write all vectors to this .npy, .npz, .json or .csv file, or as CSV to - "
                      "(standard output); default: print a table of the first values");
  command->add_option("--batch-size", options->batch_size, "Texts in one run of the model")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      ->add_option("--max-length", options->max_length,
                   "Ids that a text is cut to, of modules that take ids")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  command->add_option("--vocabulary", options->vocabulary,
                      "File of the vocabulary, where the module does not carry one");
  command
      ->add_option("--case", options->letter_case,
                   "Whether text is made lower case; default: as the module says")
      ->check(CLI::IsMember({"lower", "keep"}));
  command->footer(examples_text({
                      "tf1hub embed MODULE \"A sentence.\" \"Another one.\"",
                      "tf1hub embed MODULE sentences.txt --output vectors.npy",
                      "cat sentences.txt | tf1hub embed MODULE --output - > vectors.csv",
                  }) +
                  "Modules that take ids (BERT's \"tokens\", universal-sentence-encoder-lite) get "
                  "those of the\n"
                  "vocabulary that they carry.");
  return {command, [options] { return embed(*options); }};
}

}  // namespace hub::cli
