// hub::load and hub::Function.

#include "base/errors.h"
#include "hub/module.h"
#include "module/init_ops.h"
#include "module/model_runner.h"
#include "module/variants.h"

namespace hub {

class Function::Impl {
 public:
  Impl(const std::string& path, const LoadOptions& options)
      : Impl(open_model_files(path), options) {}

  const std::map<std::string, Signature>& signatures() const { return signatures_; }
  TensorMap run(const CallOptions& options) const { return runner_.run(options); }

  TensorMap call(const TensorMap& inputs, std::string_view signature) const {
    return runner_.call(signature.empty() ? default_signature_ : signature, inputs);
  }

  // The rules of applying a module without as_dict.
  TensorMap with_only_input(const Tensor& input) const {
    const BoundSignature& signature = runner_.signature(default_signature_);
    if (signature.inputs.empty()) {
      throw type_error("Signature '", signature.name, "' expects no inputs.");
    }
    if (signature.inputs.size() > 1) {
      throw type_error("Signature expects multiple inputs. Use a dict. Details: signature '",
                       signature.name, "' has ", signature.inputs.size(), ".");
    }
    return {{signature.inputs.begin()->first, input}};
  }

  Tensor default_output(TensorMap outputs) const {
    const auto& declared = runner_.signature(default_signature_).outputs;
    const auto found = outputs.find("default");
    if (found != outputs.end()) return std::move(found->second);
    if (is_saved_model_ && outputs.size() == 1 && declared.size() == 1) {
      return std::move(outputs.begin()->second);
    }
    throw type_error(
        "The signature has no dense output 'default'. Use call() for all outputs "
        "(as_dict=True). Details: signature '",
        default_signature_, "' of ", path_, ".");
  }

 private:
  Impl(const ModuleFiles& files, const LoadOptions& options)
      : path_(files.path),
        is_saved_model_(is_saved_model(files.kind)),
        runner_(files, {.tags = options.tags, .engine = {.threads = options.threads}}) {
    for (const auto& [name, bound] : runner_.signatures()) signatures_[name] = bound.info();
    default_signature_ = options.signature.empty() ? default_signature_name(runner_.signatures())
                                                   : options.signature;
    // A module without a default signature can be loaded: only applying it fails.
    if (options.signature.empty() && !signatures_.contains(default_signature_)) return;
    runner_.prepare(default_signature_);
  }

  std::string path_;
  bool is_saved_model_;
  ModelRunner runner_;
  std::map<std::string, Signature> signatures_;
  std::string default_signature_;
};

Tensor Function::operator()(const Tensor& input) const {
  return (*this)(impl_->with_only_input(input));
}

Tensor Function::operator()(const TensorMap& inputs) const {
  return impl_->default_output(impl_->call(inputs, {}));
}

TensorMap Function::call(const TensorMap& inputs, std::string_view signature) const {
  return impl_->call(inputs, signature);
}

TensorMap Function::run(const TensorMap& feeds, const std::vector<std::string>& fetches) const {
  return impl_->run({.feeds = feeds, .fetches = fetches});
}

const std::map<std::string, Signature>& Function::signatures() const { return impl_->signatures(); }

Function load(const std::string& handle, const LoadOptions& options) {
  return Function(
      std::make_shared<const Function::Impl>(resolve(handle, options.resolve), options));
}

}  // namespace hub
