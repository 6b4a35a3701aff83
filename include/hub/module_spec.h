#pragma once

// What a module is before it is in a graph: read it, create it, write it again.
//
//   hub::ModuleSpec spec = hub::create_module_spec([](hub::ModuleBuilder& b) {
//     hub::Output x = b.placeholder(hub::kFloat, {-1, 50});
//     b.add_signature({.inputs = {{"default", x}}, .outputs = {{"default", x * 2}}});
//   });

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "hub/export.h"
#include "hub/graph.h"
#include "hub/module.h"
#include "hub/value.h"

namespace hub {

// A set: neither order nor repetition count.
using Tags = std::vector<std::string>;

struct SpecExportOptions {
  // Where the variables' values are: a checkpoint's prefix, or a folder with a checkpoint state
  // file.
  std::string checkpoint_path = {};
  // The name in the checkpoint of the module's variable; none: the same.
  std::function<std::string(const std::string& variable)> name_transform = {};
};

// A module's graphs (one for each set of tags), and where its variables' values are stored, if
// anywhere. Immutable; copies share everything; any number of threads may use it.
class HUB_EXPORT ModuleSpec {
 public:
  class Impl;
  explicit ModuleSpec(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  // The sets of tags, each sorted. A module has one without tags, or others.
  std::vector<Tags> tags() const;
  // Sorted. Errors of everything below: of kind key for tags that no graph has.
  std::vector<std::string> signature_names(const Tags& tags = {}) const;
  // "" is "default". Errors: of kind value for a signature that does not exist.
  Signature signature(std::string_view name = {}, const Tags& tags = {}) const;
  // The bytes of the message; none where there is none of this key.
  std::optional<std::string> attached_message(std::string_view key, const Tags& tags = {}) const;
  // Errors: also of kind key where there is none.
  std::string required_attached_message(std::string_view key, const Tags& tags = {}) const;
  std::vector<std::string> attached_keys(const Tags& tags = {}) const;

  // Writes a module folder with the variables' values of a checkpoint, all or nothing.
  // Errors: of kind value without a checkpoint path, for a variable that is not in the
  // checkpoint or has another shape there; NOT_FOUND where the checkpoint is missing;
  // ALREADY_EXISTS where the folder is a module already.
  void export_to(const std::string& path, const SpecExportOptions& options) const;
  // The same with the values that the spec itself was read with.
  // Errors: of kind value where it has variables, but no values (it was created).
  void export_to(const std::string& path) const;

  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// Reads a TF1 Hub module: a path or a handle (see hub::resolve).
// Errors: NOT_FOUND without tfhub_module.pb; of kind value for another format, features that the
// library does not know, collections that modules cannot have, one set of tags twice; DATA_LOSS
// (kind io or decode) for damaged files.
HUB_EXPORT ModuleSpec load_module_spec(const std::string& handle);

// A SavedModel of TensorFlow 1 as a module, with its own tags and signatures. Its collections of
// training steps and initialisers are left out, and those named.
HUB_EXPORT ModuleSpec create_module_spec_from_saved_model(
    const std::string& path, const std::vector<std::string>& drop_collections = {});

struct SignatureOptions {
  std::string name = {};  // "default"
  ValueMap inputs = {};   // a value alone is {{"default", value}}
  ValueMap outputs = {};
};

// Writes a module's graph. Lives while the function runs that it is given to.
class HUB_EXPORT ModuleBuilder {
 public:
  // Empty at first; variables are resource variables where nothing else is said.
  const Graph& graph() const { return graph_; }

  Output placeholder(DType dtype, const PartialShape& shape = {}, std::string_view name = {}) const;
  // Of a sparse value, its dense shape; three placeholders: "name/shape", "name/values",
  // "name/indices".
  SparseValue sparse_placeholder(DType dtype, const PartialShape& shape = {},
                                 std::string_view name = {}) const;
  // `value_shape`: of one value, [] for numbers.
  RaggedValue ragged_placeholder(DType dtype, int ragged_rank = 1,
                                 const PartialShape& value_shape = PartialShape::scalar(),
                                 std::string_view name = {}) const;

  // An argument of this variant, or what is given. Errors: of kind type where it is of another
  // type.
  template <class T>
  T argument(std::string_view name, T otherwise) const {
    const Attr* given = find_argument(name);
    if (given == nullptr) return otherwise;
    if constexpr (std::is_same_v<T, int>) {
      return static_cast<int>(checked_argument<std::int64_t>(name, *given));
    } else {
      return checked_argument<T>(name, *given);
    }
  }

  // Declares what the module takes and gives. A name that was there is replaced.
  // Errors: of kind value for an input that is colocated with another operation, for values that
  // are neither dense, sparse nor ragged tensors.
  void add_signature(SignatureOptions signature);
  // A message for users of the module: an image's size, a vocabulary's name... Of a repeated key
  // the last message counts. Errors: of kind value unless the key is a letter and then letters,
  // digits and underscores.
  void attach_message(std::string_view key, std::string bytes);
  // The size of images that the module expects, in pixels (the message ImageModuleInfo).
  void attach_image_size(int height, int width);

 private:
  friend class SpecCreator;
  explicit ModuleBuilder(std::map<std::string, Attr> arguments);

  const Attr* find_argument(std::string_view name) const;
  template <class T>
  const T& checked_argument(std::string_view name, const Attr& given) const {
    if (const T* value = std::get_if<T>(&given.value())) return *value;
    refuse_argument(name);
  }
  [[noreturn]] static void refuse_argument(std::string_view name);

  struct Declared {
    std::string name;
    ValueMap inputs;
    ValueMap outputs;
  };
  struct Message {
    std::string key;
    std::string bytes;
  };

  Graph graph_;
  std::map<std::string, Attr> arguments_;
  mutable std::map<std::string, bool> used_arguments_;
  std::vector<Declared> signatures_;
  std::vector<Message> messages_;
  std::vector<std::string> warnings_;
};

using ModuleFunction = std::function<void(ModuleBuilder& builder)>;

// One graph of a module: the function is called with these arguments.
struct GraphVariant {
  Tags tags = {};
  std::map<std::string, Attr> arguments = {};
};

struct CreateOptions {
  std::vector<GraphVariant> variants = {};  // none: one without tags and arguments
  std::vector<std::string> drop_collections = {};
  // Gets what is allowed but will hurt users of the module, a line at a time.
  std::function<void(std::string_view)> log = {};
};

// A module made by a function that writes its graph. Instances initialise variables by their
// initialisers. Errors: what the function throws; of kind value where it declares no signature,
// leaves collections that modules cannot have, places a variable or table where something else is,
// for one set of tags twice; of kind type for an argument that the function did not ask for.
HUB_EXPORT ModuleSpec create_module_spec(const ModuleFunction& function,
                                         const CreateOptions& options = {});

// --- modules for images ---

struct ImageSize {
  int height = 0;
  int width = 0;
  bool operator==(const ImageSize&) const = default;
};
struct ImageInput {
  std::string signature = {};   // "default"
  std::string input_name = {};  // "images"
};
// The message that says the size, where there is one.
HUB_EXPORT std::optional<ImageSize> image_module_info(const ModuleSpec& spec);
// The size of images that the module wants: as the message says, else as the input's shape.
// Looks at the graph without tags. Errors: of kind value where neither says it.
HUB_EXPORT ImageSize expected_image_size(const ModuleSpec& spec, const ImageInput& input = {});
// Errors: of kind value where the input's shape does not say it.
HUB_EXPORT int num_image_channels(const ModuleSpec& spec, const ImageInput& input = {});

}  // namespace hub
