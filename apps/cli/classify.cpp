// tf1hub classify: what pictures show.

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/errors.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/labels.h"
#include "cli/prepared.h"
#include "module/picture_decoder.h"
#include "module/text_feed.h"

namespace hub::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ClassifyCommand {
  ModelOptions model;
  std::vector<std::string> pictures;
  std::string output_key;
  std::string labels;
  std::string activation = "auto";
  std::string size;
  std::size_t top = 5;
  std::size_t batch_size = 32;
  bool json = false;
};

struct Class {
  std::size_t index;
  float score;
};

// What became of a picture.
struct Answer {
  std::string path;
  std::vector<Class> classes;
  std::string error;  // empty: it was read
};

// "224" or "224x160": height and width.
ImageSize parse_size(const std::string& text) {
  const std::vector<std::string> parts = split(text, 'x');
  const auto number = [&](const std::string& part) {
    constexpr std::size_t kMaxDigits = 5;
    const bool is_number = !part.empty() && part.size() <= kMaxDigits &&
                           part.find_first_not_of("0123456789") == std::string::npos;
    if (!is_number || std::stoi(part) == 0) {
      throw UsageError("--size takes HEIGHTxWIDTH, not " + printable(text));
    }
    return std::stoi(part);
  };
  if (parts.size() > 2) number("");
  return {number(parts.front()), number(parts.back())};
}

std::string signature_for(const ModelRunner& runner, const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  if (runner.signatures().contains("image_classification")) return "image_classification";
  return default_signature_name(runner.signatures());
}

struct ImageInputInfo {
  std::string name;
  std::optional<ImageSize> size;  // as the shape says
  int channels = 3;
};

ImageInputInfo image_input(const BoundSignature& signature) {
  const bool fits = signature.inputs.size() == 1 &&
                    signature.inputs.begin()->second.info.kind == ValueKind::kDense &&
                    signature.inputs.begin()->second.info.dtype == kFloat;
  if (!fits) {
    throw unimplemented("Pictures are given as one array of floats. Details: signature '",
                        signature.name, "' has ", signature.inputs.size(),
                        " inputs, or another one.");
  }
  const auto& [name, value] = *signature.inputs.begin();
  ImageInputInfo info{.name = name, .size = {}};
  const PartialShape& shape = value.info.shape;
  if (!shape.has_rank()) return info;
  constexpr int kRank = 4;
  if (shape.rank() != kRank) {
    throw unimplemented("Pictures are arrays [batch, height, width, channels]. Details: input '",
                        name, "' is ", shape, ".");
  }
  const auto dims = shape.dims();
  if (dims[1] > 0 && dims[2] > 0) {
    info.size = ImageSize{static_cast<int>(dims[1]), static_cast<int>(dims[2])};
  }
  if (dims[3] > 0) info.channels = static_cast<int>(dims[3]);
  return info;
}

// The size that was asked for, else what the module says.
ImageSize picture_size(const ClassifyCommand& command, const ModuleFiles& files,
                       const ImageInputInfo& input) {
  if (!command.size.empty()) return parse_size(command.size);
  std::optional<ImageSize> size;
  if (files.kind == ModelKind::kTf1Hub) size = image_module_info(load_module_spec(files.path));
  if (size && size->height > 0 && size->width > 0) return *size;
  if (input.size) return *input.size;
  throw UsageError("The module does not say how large pictures are: give --size HEIGHTxWIDTH");
}

// Of one row: what they say is kept where they are shares of 1 already.
void activate(std::vector<float>& scores, const std::string& activation) {
  if (activation == "none") return;
  if (activation == "sigmoid") {
    for (float& score : scores) score = 1 / (1 + std::exp(-score));
    return;
  }
  constexpr double kTolerance = 1e-3;
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  const bool are_shares = std::abs(sum - 1) < kTolerance &&
                          std::ranges::all_of(scores, [](float score) { return score >= 0; });
  if (activation == "auto" && are_shares) return;
  const float largest = *std::ranges::max_element(scores);
  double total = 0;
  for (float& score : scores) total += score = std::exp(score - largest);
  for (float& score : scores) score = static_cast<float>(score / total);
}

std::vector<Class> best_classes(std::vector<float> scores, const ClassifyCommand& command) {
  activate(scores, command.activation);
  std::vector<Class> classes;
  for (std::size_t i = 0; i < scores.size(); ++i) classes.push_back({i, scores[i]});
  const std::size_t count = std::min(command.top, classes.size());
  std::ranges::stable_sort(classes, std::ranges::greater(), &Class::score);
  classes.resize(count);
  return classes;
}

class Classifier {
 public:
  explicit Classifier(const ClassifyCommand& command)
      : command_(command),
        model_(open_model(command.model)),
        name_(signature_for(*model_.runner, command.model.signature)),
        signature_(checking_usage(
            [&]() -> const BoundSignature& { return model_.runner->signature(name_); })),
        input_(image_input(signature_)),
        key_(output_key()),
        decoder_(picture_size(command, model_.files, input_), input_.channels,
                 command.model.threads) {}

  // Calls `visit` for each picture, in order.
  template <class Visit>
  void run(const Visit& visit) {
    std::vector<Answer> answers;
    std::vector<Tensor> pictures;
    const auto flush = [&] {
      classify(answers, pictures);
      for (const Answer& answer : answers) visit(answer);
      answers.clear();
      pictures.clear();
    };
    for (const std::string& path : command_.pictures) {
      answers.push_back(read(path, pictures));
      if (pictures.size() == command_.batch_size) flush();
    }
    flush();
  }

  const Labels& labels() const { return labels_; }
  bool all_missing() const { return all_missing_; }

 private:
  std::string output_key() const {
    if (command_.output_key.empty()) {
      return checking_usage([&] { return vector_output_name(signature_); });
    }
    if (signature_.outputs.contains(command_.output_key)) return command_.output_key;
    throw UsageError(cat("Signature '", name_, "' has no output '", command_.output_key, "'"));
  }

  Answer read(const std::string& path, std::vector<Tensor>& pictures) {
    try {
      pictures.push_back(decoder_.decode(read_file(path)));
      return {path, {}, ""};
    } catch (const Error& error) {
      all_missing_ = all_missing_ && error.code() == ErrorCode::kNotFound;
      return {path, {}, error.message()};
    }
  }

  void classify(std::vector<Answer>& answers, const std::vector<Tensor>& pictures) {
    if (pictures.empty()) return;
    const Shape& one = pictures[0].shape();
    const std::int64_t size = pictures[0].num_elements();
    Tensor batch(kFloat, Shape{static_cast<std::int64_t>(pictures.size()), one[1], one[2], one[3]});
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      std::copy_n(pictures[i].data<float>(), size,
                  batch.mutable_data<float>() + static_cast<std::int64_t>(i) * size);
    }
    const TensorMap outputs = model_.runner->call(name_, {{input_.name, batch}},
                                                  {.outputs = std::set<std::string>{key_}});
    const Tensor& scores = outputs.at(key_);
    const bool is_matrix = scores.dtype() == kFloat && scores.shape().rank() == 2 &&
                           scores.dim(0) == batch.dim(0) && scores.dim(1) > 0;
    if (!is_matrix) {
      throw UsageError(cat("An output with a score for each class is wanted. '", key_, "' is ",
                           scores.dtype(), " ", scores.shape()));
    }
    const std::int64_t classes = scores.dim(1);
    if (!labels_.is_read()) labels_ = read_labels(model_.files, command_.labels, classes);
    const float* row = scores.data<float>();
    for (Answer& answer : answers) {
      if (!answer.error.empty()) continue;
      answer.classes = best_classes({row, row + classes}, command_);
      row += classes;
    }
  }

  const ClassifyCommand& command_;
  OpenedModel model_;
  std::string name_;
  const BoundSignature& signature_;
  ImageInputInfo input_;
  std::string key_;
  PictureDecoder decoder_;
  Labels labels_;
  bool all_missing_ = true;
};

Json answer_json(const Answer& answer, const Labels& labels) {
  Json json = {{"image", answer.path}};
  if (!answer.error.empty()) {
    json["error"] = answer.error;
    return json;
  }
  json["classes"] = Json::array();
  for (const Class& found : answer.classes) {
    json["classes"].push_back({{"class", found.index},
                               {"label", labels.text(found.index)},
                               {"score", std::stod(fmt::format("{}", found.score))}});
  }
  return json;
}

void print_answer(const Answer& answer, const Labels& labels, const std::string& activation) {
  if (!answer.error.empty()) return;
  fmt::print("{}\n", printable(answer.path, 4096));
  for (const Class& found : answer.classes) {
    constexpr float kPercent = 100;
    if (activation == "none") {
      fmt::print("  {:10.4g}  {}\n", found.score, labels.text(found.index));
    } else {
      fmt::print("  {:5.1f} %  {}\n", kPercent * found.score, labels.text(found.index));
    }
  }
}

ExitStatus classify(const ClassifyCommand& command) {
  Classifier classifier(command);
  std::size_t failed = 0;
  Json images = Json::array();
  classifier.run([&](const Answer& answer) {
    if (!answer.error.empty()) {
      ++failed;
      std::fflush(stdout);
      fmt::print(stderr, "tf1hub: {}: {}\n", printable(answer.path, 4096), answer.error);
    }
    if (command.json) {
      images.push_back(answer_json(answer, classifier.labels()));
    } else {
      print_answer(answer, classifier.labels(), command.activation);
    }
  });
  if (command.json) {
    const Json all = {{"images", std::move(images)}, {"failed", failed}};
    fmt::print("{}\n", all.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  if (failed == 0) return kDone;
  fmt::print(stderr, "tf1hub: {} of {} pictures could not be read\n", failed,
             command.pictures.size());
  return classifier.all_missing() ? kNotFound : kFailed;
}

}  // namespace

CommandEntry add_classify(CLI::App& program) {
  auto options = std::make_shared<ClassifyCommand>();
  CLI::App* command = program.add_subcommand("classify", "Say what pictures show");
  add_model_options(*command, options->model);
  command->add_option("IMAGE", options->pictures, "JPEG, PNG, GIF or BMP files")->required();
  command->add_option("--top", options->top, "Classes to name for each picture")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--labels", options->labels,
                      "File with the name of a class on each line; default: the module's own, "
                      "else numbers");
  command->add_option("--output-key", options->output_key,
                      "Output of the signature; default: default, or the only matrix");
  command
      ->add_option("--activation", options->activation,
                   "How outputs become scores; auto: softmax, unless they are shares of 1")
      ->check(CLI::IsMember({"auto", "softmax", "sigmoid", "none"}))
      ->capture_default_str();
  command->add_option("--size", options->size,
                      "Height and width of pictures, as 224x224, where the module does not say it");
  command->add_option("--batch-size", options->batch_size, "Pictures in one run of the model")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print one JSON object");
  command->footer(
      examples_text({
          "tf1hub classify MODULE picture.jpg",
          "tf1hub classify MODULE --labels ImageNetLabels.txt --top 1 *.jpg",
      }) +
      "Pictures are resized bilinearly to what the module expects. Those that cannot be\n"
      "read are named and counted, the others are done: exit status 1 (3 where they are\n"
      "all missing).");
  return {command, [options] { return classify(*options); }};
}

}  // namespace hub::cli
