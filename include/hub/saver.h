#pragma once

// Checkpoints of training: TensorFlow's files, so that either continues what the other began.
//
//   hub::train::Saver saver(graph);
//   saver.save(session, "run/model", step);        // run/model-100.index, ...data..., checkpoint
//   saver.restore(session, *hub::train::latest_checkpoint("run"));

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"
#include "hub/session.h"
#include "hub/variables.h"

namespace hub::train {

struct SaverOptions {
  // By their names in the checkpoint. None: the graph's global variables, by their own names.
  std::map<std::string, Variable> variables = {};
  // Older checkpoints of this saver are removed; 0: none is.
  int max_to_keep = 5;
  // Writes PREFIX.meta, the graph with its collections, beside the values.
  bool write_meta_graph = true;
};

// Not thread-safe; any number of savers may use one session.
class HUB_EXPORT Saver {
 public:
  // Errors: of kind value where the graph has no variables.
  explicit Saver(const Graph& graph, SaverOptions options = {});

  // Writes the values that the variables have in the session; gives the checkpoint's prefix,
  // "PREFIX-STEP". The files get their names when all is written; then the folder's state file is
  // replaced, and what is too old removed: a failure leaves the checkpoints that were there.
  // Errors: FAILED_PRECONDITION for a variable without a value; those of writing.
  std::string save(const Session& session, const std::string& prefix,
                   std::optional<std::int64_t> global_step = {});

  // Errors: NOT_FOUND for a checkpoint or a variable that is not there; of kind value for another
  // shape or dtype. A session is changed only when all fits.
  void restore(Session& session, const std::string& prefix) const;

  // The checkpoints that this saver keeps, from the oldest.
  std::vector<std::string> last_checkpoints() const;
  // Goes on where another saver stopped: those of the folder's state file.
  void recover_last_checkpoints(const std::string& directory);

 private:
  Graph graph_;
  SaverOptions options_;
  struct Kept {
    std::string prefix;
    double saved_at_seconds = 0;  // since 1970
  };
  std::vector<Kept> kept_;
};

// The prefix of the newest checkpoint of a folder, where its files exist.
HUB_EXPORT std::optional<std::string> latest_checkpoint(const std::string& directory);

struct StoredVariable {
  std::string name;
  DType dtype = DType::kInvalid;
  Shape shape;
};
// What a checkpoint (a prefix, or a folder's newest) holds, sorted by name.
HUB_EXPORT std::vector<StoredVariable> list_variables(const std::string& checkpoint);
// Errors: NOT_FOUND.
HUB_EXPORT Tensor load_variable(const std::string& checkpoint, std::string_view name);

// Gives variables of the session the values of another checkpoint: each variable for which
// `name_of` gives a name there. Gives the names of the variables that it set.
// Errors: as Saver::restore.
HUB_EXPORT std::vector<std::string> warm_start(
    Session& session, const std::string& checkpoint,
    const std::function<std::optional<std::string>(const Variable& variable)>& name_of);

}  // namespace hub::train
