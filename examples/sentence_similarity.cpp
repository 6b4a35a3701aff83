// How alike sentences are: embeds them with a module, then compares the vectors.
//
//   sentence_similarity [MODULE [SENTENCE...]]
//
// MODULE is a text embedding module: one input of strings, one vector for each. Without
// arguments, run it in the folder examples/.

#include <hub/hub.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace {

const std::vector<std::string> kSentences = {
    "My cat sleeps on the sofa.",          "A kitten is a young cat.",
    "The bank raised its interest rates.", "Loans and mortgages cost more.",
    "The team won the football match.",    "Both goals were scored late in the game.",
};

// The cosine of the angle between rows `a` and `b`: 1 for the same direction.
double similarity(const hub::Tensor& vectors, std::int64_t a, std::int64_t b) {
  const std::int64_t width = vectors.dim(1);
  const float* x = vectors.data<float>() + a * width;
  const float* y = vectors.data<float>() + b * width;
  double xy = 0, xx = 0, yy = 0;
  for (std::int64_t i = 0; i < width; ++i) {
    xy += double{x[i]} * y[i];
    xx += double{x[i]} * x[i];
    yy += double{y[i]} * y[i];
  }
  return xy / std::sqrt(xx * yy);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string path = argc > 1 ? argv[1] : "data/text-embedding-en-64/module";
  const std::vector<std::string> sentences =
      argc > 2 ? std::vector<std::string>(argv + 2, argv + argc) : kSentences;

  const hub::Function embed = hub::load(path);
  const hub::Tensor vectors = embed(hub::strings(sentences));

  const auto count = static_cast<std::int64_t>(sentences.size());
  for (std::int64_t row = 0; row < count; ++row) {
    for (std::int64_t column = 0; column < count; ++column) {
      std::printf("%6.2f", similarity(vectors, row, column));
    }
    std::printf("  %s\n", sentences[static_cast<std::size_t>(row)].c_str());
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "sentence_similarity: %s\n", error.what());
  return 1;
}
