// Unknown fields of every kind, in every message that a file may nest, survive reading and
// writing. Messages are made from their descriptors: each field is set, each choice of a
// `oneof` is taken in some message.

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <random>

#include "format/message_io.h"
#include "format/module_def.h"
#include "format/proto/graph.pb.h"
#include "format/proto/module.pb.h"
#include "format/proto/saved_model.pb.h"
#include "format/proto/tensor.pb.h"
#include "format/proto/variable.pb.h"
#include "format/saved_model.h"
#include "format/testing.h"
#include "format/variable_def.h"

namespace hub::testing {
namespace {

namespace gp = google::protobuf;
namespace pb = ::tf1hub::format;

class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}

  void fill(gp::Message& message, int depth) {
    if (auto* tensor = dynamic_cast<pb::TensorProto*>(&message)) {
      fill_tensor(*tensor, depth);
    } else if (auto* shape = dynamic_cast<pb::TensorShapeProto*>(&message)) {
      fill_shape(*shape, /*least=*/-1);
    } else {
      fill_fields(message, depth);
    }
    plant(*message.GetReflection()->MutableUnknownFields(&message));
  }

  int planted() const { return planted_; }

 private:
  static constexpr int kMaxDepth = 12;

  int number(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }

  void plant(gp::UnknownFieldSet& fields) {
    const auto value = static_cast<std::uint64_t>(++planted_);
    fields.AddVarint(1000, value);
    fields.AddFixed32(1001, static_cast<std::uint32_t>(value));
    fields.AddFixed64(1002, value << 40);
    fields.AddLengthDelimited(1003)->assign(cat("unknown ", value));
    fields.AddGroup(1004)->AddGroup(1)->AddVarint(2, value);
  }

  void plant_in(gp::Message& message) {
    plant(*message.GetReflection()->MutableUnknownFields(&message));
  }

  // Distinct values in the form that tensors are written in.
  void fill_tensor(pb::TensorProto& tensor, int depth) {
    constexpr pb::DataType kTypes[] = {pb::DT_FLOAT, pb::DT_INT64, pb::DT_STRING, pb::DT_RESOURCE,
                                       pb::DT_VARIANT};
    const pb::DataType type = kTypes[depth < kMaxDepth - 4 ? number(5) : number(3)];
    tensor.set_dtype(type);
    tensor.set_version_number(number(3));
    pb::TensorShapeProto& shape = *tensor.mutable_tensor_shape();
    for (const std::int64_t size : {1, 2}) {
      shape.add_dim()->set_size(size);
      plant_in(*shape.mutable_dim(shape.dim_size() - 1));
    }
    shape.mutable_dim(0)->set_name("batch");
    plant_in(shape);
    if (type == pb::DT_FLOAT || type == pb::DT_INT64) {
      tensor.set_tensor_content(std::string(type == pb::DT_FLOAT ? 7 : 15, '\0') + "@");
    } else if (type == pb::DT_STRING) {
      for (const char* value : {"a", "b"}) tensor.add_string_val(value);
    } else {
      for (int i = 0; i < 2; ++i) {
        if (type == pb::DT_RESOURCE) fill(*tensor.add_resource_handle_val(), depth + 1);
        if (type == pb::DT_VARIANT) fill(*tensor.add_variant_val(), depth + 1);
      }
    }
  }

  void fill_shape(pb::TensorShapeProto& shape, int least) {
    for (int i = number(4); i > 0; --i) {
      auto& dim = *shape.add_dim();
      dim.set_size(least + number(4));
      if (number(2) == 0) dim.set_name(cat("axis ", i));
      plant_in(dim);
    }
    if (shape.dim().empty()) shape.set_unknown_rank(number(2) == 0);
  }

  void fill_fields(gp::Message& message, int depth) {
    const gp::Descriptor& descriptor = *message.GetDescriptor();
    for (int i = 0; i < descriptor.field_count(); ++i) {
      const gp::FieldDescriptor& field = *descriptor.field(i);
      if (field.real_containing_oneof() == nullptr) set(message, field, depth);
    }
    for (int i = 0; i < descriptor.real_oneof_decl_count(); ++i) {
      const gp::OneofDescriptor& choice = *descriptor.oneof_decl(i);
      set(message, *choice.field(number(choice.field_count())), depth);
    }
  }

  void set(gp::Message& message, const gp::FieldDescriptor& field, int depth) {
    const bool is_message = field.cpp_type() == gp::FieldDescriptor::CPPTYPE_MESSAGE;
    const gp::Reflection& reflection = *message.GetReflection();
    if (is_message && depth >= kMaxDepth) {
      if (field.is_repeated() || field.real_containing_oneof() != nullptr) return;
      reflection.MutableMessage(&message, &field);  // those that a writer always makes
      return;
    }
    if (field.is_map()) {
      gp::Message& entry = *reflection.AddMessage(&message, &field);
      for (const auto* part : {field.message_type()->map_key(), field.message_type()->map_value()})
        set(entry, *part, depth);
    } else if (is_message) {
      const int count = field.is_repeated() ? 1 + number(depth < 4 ? 3 : 1) : 1;
      for (int i = 0; i < count; ++i) {
        fill(field.is_repeated() ? *reflection.AddMessage(&message, &field)
                                 : *reflection.MutableMessage(&message, &field),
             depth + 1);
      }
    } else {
      set_scalar(message, field);
    }
  }

  template <class T, class Add, class Set>
  void put(gp::Message& message, const gp::FieldDescriptor& field, Add add, Set set_it, T value) {
    const gp::Reflection& reflection = *message.GetReflection();
    if (field.is_repeated()) {
      (reflection.*add)(&message, &field, value);
    } else {
      (reflection.*set_it)(&message, &field, value);
    }
  }

  void set_scalar(gp::Message& message, const gp::FieldDescriptor& field) {
    using R = gp::Reflection;
    const int value = 1 + number(9);
    switch (field.cpp_type()) {
      case gp::FieldDescriptor::CPPTYPE_INT32:
        return put(message, field, &R::AddInt32, &R::SetInt32, std::int32_t{value});
      case gp::FieldDescriptor::CPPTYPE_INT64:
        return put(message, field, &R::AddInt64, &R::SetInt64, std::int64_t{value});
      case gp::FieldDescriptor::CPPTYPE_UINT32:
        return put(message, field, &R::AddUInt32, &R::SetUInt32, static_cast<std::uint32_t>(value));
      case gp::FieldDescriptor::CPPTYPE_UINT64:
        return put(message, field, &R::AddUInt64, &R::SetUInt64, static_cast<std::uint64_t>(value));
      case gp::FieldDescriptor::CPPTYPE_DOUBLE:
        return put(message, field, &R::AddDouble, &R::SetDouble, double{0.5 * value});
      case gp::FieldDescriptor::CPPTYPE_FLOAT:
        return put(message, field, &R::AddFloat, &R::SetFloat, 0.5f * static_cast<float>(value));
      case gp::FieldDescriptor::CPPTYPE_BOOL:
        return put(message, field, &R::AddBool, &R::SetBool, true);
      case gp::FieldDescriptor::CPPTYPE_ENUM:
        return put(message, field, &R::AddEnumValue, &R::SetEnumValue,
                   field.enum_type()->value(1)->number());
      default: return put(message, field, &R::AddString, &R::SetString, cat("text ", value));
    }
  }

  std::mt19937 random_;
  int planted_ = 0;
};

// Writes what it reads.
using Rewrite = std::string (*)(const std::string&);

template <class Message>
void expect_that_all_survives(Rewrite rewrite) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    Message message;
    Maker maker(seed);
    maker.fill(message, 0);
    ASSERT_GT(maker.planted(), 0);
    const std::string bytes = serialize_binary(message);
    Message again;
    parse_binary(again, rewrite(bytes), "message", "again");
    if (serialize_binary(again) == bytes) continue;
    // In text, a failure can be read.
    EXPECT_EQ(again.DebugString(), message.DebugString()) << "with the seed " << seed;
    return;
  }
}

TEST(UnknownFieldsTest, OfGraphsSurvive) {
  expect_that_all_survives<pb::GraphDef>(
      [](const std::string& bytes) { return serialize_graph_def(parse_graph_def(bytes, "x")); });
}

TEST(UnknownFieldsTest, OfModelsSurvive) {
  expect_that_all_survives<pb::MetaGraphDef>(
      [](const std::string& bytes) { return serialize_meta_graph(parse_meta_graph(bytes, "x")); });
  expect_that_all_survives<pb::SavedModel>([](const std::string& bytes) {
    return serialize_saved_model(parse_saved_model(bytes, "x"));
  });
  expect_that_all_survives<pb::AssetFileDef>([](const std::string& bytes) {
    return serialize_asset_file_def(parse_asset_file_def(bytes, "x"));
  });
}

TEST(UnknownFieldsTest, OfModuleMessagesSurvive) {
  expect_that_all_survives<pb::ModuleDef>(
      [](const std::string& bytes) { return serialize_module_def(parse_module_def(bytes, "x")); });
  expect_that_all_survives<pb::ModuleAttachment>([](const std::string& bytes) {
    return serialize_module_attachment(parse_module_attachment(bytes, "x"));
  });
  expect_that_all_survives<pb::ImageModuleInfo>([](const std::string& bytes) {
    return serialize_image_module_info(parse_image_module_info(bytes, "x"));
  });
}

TEST(UnknownFieldsTest, OfCollectionsSurvive) {
  expect_that_all_survives<pb::VariableDef>([](const std::string& bytes) {
    return serialize_variable_def(parse_variable_def(bytes, "x"));
  });
  expect_that_all_survives<pb::CondContextDef>([](const std::string& bytes) {
    return serialize_cond_context(parse_cond_context(bytes, "x"));
  });
  expect_that_all_survives<pb::WhileContextDef>([](const std::string& bytes) {
    return serialize_while_context(parse_while_context(bytes, "x"));
  });
}

TEST(UnknownFieldsTest, ThoseOfAPartThatIsGoneAreDropped) {
  AttrValue attr(PartialShape{1, 2});
  GraphDef graph;
  graph.nodes.emplace_back().attrs["shape"] = attr;
  pb::GraphDef message;
  message.ParseFromString(serialize_graph_def(graph));
  auto& shape = *(*message.mutable_node(0)->mutable_attr())["shape"].mutable_shape();
  for (auto& dim : *shape.mutable_dim()) dim.set_name("axis");
  graph = parse_graph_def(serialize_binary(message), "x");
  graph.nodes[0].attrs["shape"].value = PartialShape{3};
  message.ParseFromString(serialize_graph_def(graph));
  EXPECT_EQ(message.node(0).attr().at("shape").shape().ShortDebugString(),
            "dim { size: 3 name: \"axis\" }");
  graph.nodes[0].attrs["shape"].value = true;
  message.ParseFromString(serialize_graph_def(graph));
  EXPECT_EQ(message.node(0).attr().at("shape").ShortDebugString(), "b: true");
}

TEST(UnknownFieldsTest, TextIsWrittenWithoutThem) {
  pb::GraphDef message;
  message.GetReflection()->MutableUnknownFields(&message)->AddVarint(1000, 5);
  const std::string text = graph_def_text(parse_graph_def(serialize_binary(message), "x"));
  EXPECT_EQ(parse_graph_def_text(text, "again").unknown_fields, "");
}

TEST(UnknownFieldsTest, GroupsMustEnd) {
  const std::string group = from_hex("c3 3e 08 05 c4 3e");  // 1000: { 1: 5 }
  EXPECT_EQ(parse_graph_def(group, "x").unknown_fields, group);
  for (std::size_t size = 1; size < group.size(); ++size) {
    EXPECT_EQ(error_of([&] { parse_graph_def(group.substr(0, size), "x"); }).kind(),
              ErrorKind::kDecode);
  }
  EXPECT_EQ(error_of([] { parse_graph_def(from_hex("c3 3e 08 05 cc 3e"), "x"); }).kind(),
            ErrorKind::kDecode);
}

}  // namespace
}  // namespace hub::testing
