#include "format/module_files.h"

#include <gmock/gmock.h>

#include "base/failing_files.h"
#include "format/checkpoint_state.h"
#include "format/testing.h"

namespace hub::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

NodeDef asset_node(const std::string& name) {
  NodeDef node;
  node.name = name;
  node.op = "Const";
  node.attrs.emplace("dtype", DType::kString);
  node.attrs.emplace("value", make_scalar<std::string>("SAVEDMODEL-ASSET"));
  return node;
}

AnyValue asset_value(const std::string& tensor_name, const std::string& filename) {
  AssetFileDef asset;
  asset.tensor_info.encoding = DenseEncoding{tensor_name};
  asset.filename = filename;
  return {"type.googleapis.com/tensorflow.AssetFileDef", serialize_asset_file_def(asset)};
}

// A model with one constant for an asset.
SavedModel model_with_asset(const std::string& filename) {
  SavedModel model;
  MetaGraph& graph = model.meta_graphs.emplace_back();
  graph.graph.nodes.push_back(asset_node("file"));
  graph.collections["saved_model_assets"].value = AnyValues{{asset_value("file:0", filename)}};
  return model;
}

const std::string& asset_of(const ModuleFiles& files) {
  const NodeDef& node = files.model.meta_graphs.at(0).graph.nodes.at(0);
  return std::get<Tensor>(node.attrs.at("value").value).scalar<std::string>();
}

class ModuleFilesTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name = "m") const { return temp_.path() + "/" + name; }

  void write_module(const FileSystem& files = file_system()) const {
    ModuleWriter writer(path(), files);
    writer.add_asset_bytes("words.txt", "a\nb\n");
    BundleWriter variables(writer.checkpoint_prefix(), files);
    variables.add("v", make_scalar(1.0f));
    variables.finish();
    writer.write_saved_model(model_with_asset("words.txt"));
    writer.write_module_def();
    writer.commit();
  }

  TempDirectory temp_{memory_folder()};
};

TEST_F(ModuleFilesTest, AModuleIsReadAsItWasWritten) {
  write_module();
  EXPECT_THAT(list_directory(path()),
              ElementsAre("assets", "saved_model.pb", "tfhub_module.pb", "variables"));
  const ModuleFiles files = open_model_files(path());
  EXPECT_EQ(files.kind, ModelKind::kTf1Hub);
  EXPECT_EQ(files.module_def->format, kModuleFormatV3);
  EXPECT_THAT(files.assets, ElementsAre("words.txt"));
  EXPECT_EQ(files.checkpoint->read("v").scalar<float>(), 1.0f);
  EXPECT_EQ(asset_of(files), path() + "/assets/words.txt");
  EXPECT_EQ(files.asset_bindings.at(0).at(0).tensor_name, "file:0");
  EXPECT_THAT(files.model.meta_graphs[0].collections, IsEmpty());
  std::uint64_t bytes = 0;
  for (const auto& file : list_files_recursively(path())) bytes += file_size(path() + "/" + file);
  EXPECT_EQ(files.size_bytes, bytes);
}

TEST_F(ModuleFilesTest, APathThatTensorFlow2WouldFeedIsAConstant) {
  SavedModel model;
  MetaGraph& graph = model.meta_graphs.emplace_back();
  graph.tags = {"serve"};
  NodeDef& placeholder = graph.graph.nodes.emplace_back();
  placeholder.name = "file";
  placeholder.op = "Placeholder";
  placeholder.attrs = {{"dtype", kString}, {"shape", PartialShape::scalar()}};
  AssetFileDef& asset = graph.asset_files.emplace_back();
  asset.tensor_info.encoding = DenseEncoding{"file:0"};
  asset.filename = "words.txt";
  write_raw(path("v2/saved_model.pb"), serialize_saved_model(model));
  const ModuleFiles files = open_model_files(path("v2"));
  EXPECT_EQ(files.model.meta_graphs[0].graph.nodes[0].op, "Const");
  EXPECT_EQ(asset_of(files), path("v2") + "/assets/words.txt");
}

TEST_F(ModuleFilesTest, AStatelessModuleHasNoCheckpoint) {
  ModuleWriter writer(path());
  writer.write_saved_model({});
  writer.write_module_def();
  writer.commit();
  const ModuleFiles files = open_hub_module_files(path());
  EXPECT_EQ(files.checkpoint, nullptr);
  EXPECT_EQ(files.checkpoint_prefix, path() + "/variables/variables");
  EXPECT_TRUE(is_directory(path() + "/assets"));
}

TEST_F(ModuleFilesTest, EachKindIsTold) {
  SavedModel model;
  model.meta_graphs.emplace_back().tags = {"serve"};
  write_raw(path("v1/saved_model.pb"), serialize_saved_model(model));
  write_raw(path("text/saved_model.pbtxt"), saved_model_text(model));
  model.meta_graphs[0].object_graph = "";
  write_raw(path("v2/saved_model.pb"), serialize_saved_model(model));
  GraphDef graph;
  graph.nodes.emplace_back().name = "n";
  graph.nodes[0].op = "NoOp";
  write_raw(path("frozen.pb"), serialize_graph_def(graph));
  write_raw(path("frozen.pbtxt"), "# a comment\n" + graph_def_text(graph));
  write_raw(path("misnamed.pb"), graph_def_text(graph));
  write_raw(path("ckpt.meta"), serialize_meta_graph(model.meta_graphs[0]));
  write_raw(path("meta.pbtxt"), "meta_info_def { tags: 'x' }");
  BundleWriter writer(path("run/ckpt-7"));
  writer.add("v", make_scalar(1.0f));
  writer.finish();
  const auto kind = [&](const char* name) {
    return model_kind_name(open_model_files(path(name)).kind);
  };
  EXPECT_EQ(kind("v1"), "saved_model_v1");
  EXPECT_EQ(kind("v1/saved_model.pb"), "saved_model_v1");
  EXPECT_EQ(kind("text"), "saved_model_v1");
  EXPECT_EQ(kind("v2"), "saved_model_v2");
  EXPECT_EQ(kind("frozen.pb"), "graph_def");
  EXPECT_EQ(kind("frozen.pbtxt"), "graph_def");
  EXPECT_EQ(kind("misnamed.pb"), "graph_def");
  EXPECT_EQ(kind("ckpt.meta"), "meta_graph");
  EXPECT_EQ(kind("meta.pbtxt"), "meta_graph");
  EXPECT_EQ(kind("run/ckpt-7"), "checkpoint");
  EXPECT_EQ(kind("run/ckpt-7.index"), "checkpoint");
  EXPECT_EQ(open_model_files(path("frozen.pbtxt")).model.meta_graphs.at(0).graph.nodes.size(), 1u);
  write_checkpoint_state(path("run"), {.model_checkpoint_path = "ckpt-7",
                                       .all_model_checkpoint_paths = {"ckpt-7"},
                                       .all_model_checkpoint_timestamps = {},
                                       .last_preserved_timestamp = 0});
  EXPECT_EQ(kind("run"), "checkpoint");
}

TEST_F(ModuleFilesTest, AMetaGraphIsToldByItsContents) {
  const auto kind = [&](std::string_view bytes, const char* name) {
    write_raw(path(name), bytes);
    return model_kind_name(open_model_files(path(name)).kind);
  };
  MetaGraph meta_graph;
  EXPECT_EQ(kind(serialize_meta_graph(meta_graph), "x.meta"), "meta_graph");  // all empty
  meta_graph.graph.nodes.emplace_back().op = "NoOp";
  EXPECT_EQ(kind(serialize_meta_graph(meta_graph), "x.pb"), "meta_graph");
  meta_graph.tags = {"train"};
  EXPECT_EQ(kind(serialize_meta_graph(meta_graph), "x.pb"), "meta_graph");
  EXPECT_EQ(kind("meta_info_def { } graph_def { node { op: 'NoOp' } }", "x.meta"), "meta_graph");
  EXPECT_EQ(kind("node { op: 'NoOp' }", "x.meta"), "graph_def");
  EXPECT_EQ(kind(serialize_graph_def(meta_graph.graph), "x.meta"), "graph_def");
  GraphDef functions;
  functions.library.functions.emplace_back().signature.name = "f";
  EXPECT_EQ(kind(serialize_graph_def(functions), "x.pb"), "graph_def");
  // Field 3: a saver, or the version that a graph had once.
  EXPECT_EQ(kind(from_hex("1a 02 28 01"), "x.pb"), "meta_graph");
  EXPECT_EQ(kind(from_hex("18 05"), "x.pb"), "graph_def");
}

TEST_F(ModuleFilesTest, ErrorsHaveTheKindsOfTheRealLibrary) {
  EXPECT_EQ(error_of([&] { open_model_files(path("nothing")); }).code(), ErrorCode::kNotFound);
  std::filesystem::create_directory(path("empty"));
  EXPECT_EQ(error_of([&] { open_model_files(path("empty")); }).code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { open_hub_module_files(path("empty")); }).code(), ErrorCode::kNotFound);
  write_raw(path("file"), "x");
  EXPECT_EQ(error_of([&] { open_hub_module_files(path("file")); }).code(),
            ErrorCode::kFailedPrecondition);
  write_raw(path("only/tfhub_module.pb"), from_hex("08 03"));
  EXPECT_EQ(error_of([&] { open_model_files(path("only")); }).code(), ErrorCode::kNotFound);
  write_raw(path("only/saved_model.pb"), "\xff\xff\xff\xff");
  const Error garbage = error_of([&] { open_model_files(path("only")); });
  EXPECT_EQ(garbage.kind(), ErrorKind::kIo);
  EXPECT_THAT(garbage.what(), HasSubstr("only/saved_model.pb"));
  write_raw(path("only/tfhub_module.pb"), "\xff\xff\xff\xff");
  EXPECT_EQ(error_of([&] { open_model_files(path("only")); }).kind(), ErrorKind::kDecode);
  write_raw(path("only/tfhub_module.pb"), from_hex("08 07"));
  EXPECT_EQ(error_of([&] { open_model_files(path("only")); }).kind(), ErrorKind::kValue);
}

TEST_F(ModuleFilesTest, AssetsStayBelowTheirFolder) {
  for (const char* filename :
       {"../../evil", "../assets_evil/x", "/etc/passwd", "..", ".", "", "a/../../x", "../assets"}) {
    write_raw(path("m/tfhub_module.pb"), from_hex("08 03"));
    write_raw(path("m/saved_model.pb"), serialize_saved_model(model_with_asset(filename)));
    const Error error = error_of([&] { open_model_files(path()); });
    EXPECT_EQ(error.kind(), ErrorKind::kValue) << filename;
    EXPECT_THAT(error.what(), HasSubstr("points outside assets_dir"));
  }
  for (const char* filename : {"..words", "a/../b", "./c", "sub/dir/d"}) {
    write_raw(path("m/saved_model.pb"), serialize_saved_model(model_with_asset(filename)));
    open_model_files(path());
  }
}

TEST_F(ModuleFilesTest, AnAssetsNodeIsAConstantString) {
  const auto open_with = [&](const std::function<void(NodeDef&)>& edit, bool is_module) {
    SavedModel model = model_with_asset("words.txt");
    edit(model.meta_graphs[0].graph.nodes[0]);
    write_raw(path("m/saved_model.pb"), serialize_saved_model(model));
    if (is_module) write_raw(path("m/tfhub_module.pb"), from_hex("08 03"));
    if (!is_module) std::filesystem::remove(path("m/tfhub_module.pb"));
    open_model_files(path());
  };
  const std::vector<std::function<void(NodeDef&)>> edits = {
      [](NodeDef& node) { node.op = "Placeholder"; },
      [](NodeDef& node) { node.attrs["dtype"] = DType::kFloat32; },
      [](NodeDef& node) { node.attrs.erase("value"); },
      [](NodeDef& node) {
        node.attrs["value"] = strings({"a", "b"});
      },
  };
  for (const auto& edit : edits) {
    const Error error = error_of([&] { open_with(edit, true); });
    EXPECT_EQ(error.kind(), ErrorKind::kType);
    EXPECT_THAT(error.what(), HasSubstr("in node \"file\""));
    open_with(edit, false);  // a SavedModel's asset may be fed instead
  }
}

TEST_F(ModuleFilesTest, ASavedModelKeepsItsAssetLists) {
  SavedModel model = model_with_asset("ignored.txt");
  AssetFileDef asset;
  asset.tensor_info.encoding = DenseEncoding{"file:0"};
  asset.filename = "used.txt";
  model.meta_graphs[0].asset_files = {asset};
  write_raw(path("m/saved_model.pb"), serialize_saved_model(model));
  const ModuleFiles files = open_model_files(path());
  EXPECT_EQ(asset_of(files), path() + "/assets/used.txt");
  EXPECT_EQ(files.model.meta_graphs[0].collections.size(), 1u);
}

TEST_F(ModuleFilesTest, AWriterThatIsNotCommittedLeavesNothing) {
  { ModuleWriter(path()).write_module_def(); }
  EXPECT_THAT(list_directory(temp_.path()), IsEmpty());
}

TEST_F(ModuleFilesTest, AModuleIsNotOverwritten) {
  write_module();
  const std::string before = read_file(path() + "/saved_model.pb");
  ModuleWriter writer(path());
  writer.write_saved_model({});
  writer.write_module_def();
  EXPECT_EQ(error_of([&] { writer.commit(); }).code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(read_file(path() + "/saved_model.pb"), before);
}

TEST_F(ModuleFilesTest, AFolderThatIsNoModuleIsFilled) {
  write_raw(path() + "/notes.txt", "mine");
  write_raw(path() + "/saved_model.pb", "old");
  write_module();
  EXPECT_EQ(read_file(path() + "/notes.txt"), "mine");
  EXPECT_EQ(open_model_files(path()).kind, ModelKind::kTf1Hub);
  std::filesystem::remove(path() + "/tfhub_module.pb");
  EXPECT_EQ(error_of([&] { write_module(); }).code(), ErrorCode::kAlreadyExists);  // the asset
}

TEST_F(ModuleFilesTest, AssetNamesAreUsedOnce) {
  ModuleWriter writer(path());
  writer.add_asset_bytes("a", "1");
  EXPECT_EQ(error_of([&] { writer.add_asset_bytes("a", "2"); }).code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(error_of([&] { writer.add_asset_bytes("../a", "2"); }).kind(), ErrorKind::kValue);
  EXPECT_EQ(error_of([&] { writer.add_asset("b", path("nothing")); }).code(), ErrorCode::kNotFound);
}

TEST_F(ModuleFilesTest, WhicheverWriteFailsTheFolderIsWholeOrAbsent) {
  int failures = 0;
  for (int fail_at = 1;; ++fail_at) {
    const FailingFiles files(fail_at);
    const bool written = survives([&] { write_module(files); });
    if (path_exists(path())) {
      const ModuleFiles read = open_hub_module_files(path());
      EXPECT_EQ(read.checkpoint->read("v").scalar<float>(), 1.0f);
      EXPECT_EQ(read_file(path() + "/assets/words.txt"), "a\nb\n");
    } else {
      EXPECT_FALSE(written);
    }
    const auto left = list_directory(temp_.path());
    EXPECT_LE(left.size(), path_exists(path()) ? 1u : 0u) << "temporary files after " << fail_at;
    std::filesystem::remove_all(path());
    if (!files.failed()) break;
    ++failures;
  }
  EXPECT_GT(failures, 20);
}

TEST_F(ModuleFilesTest, WhicheverReadBytesAreDamagedThereIsAnErrorOrAModel) {
  write_module();
  const std::string bytes = serialize_saved_model(model_with_asset("words.txt"));
  for_each_corruption(bytes, [&](const std::string& damaged) {
    write_raw(path() + "/saved_model.pb", damaged);
    survives([&] { open_model_files(path()); });
  });
  write_raw(path() + "/saved_model.pb", bytes);
  for_each_corruption(from_hex("08 03 c3 3e 08 05 c4 3e"), [&](const std::string& damaged) {
    write_raw(path() + "/tfhub_module.pb", damaged);
    survives([&] { open_model_files(path()); });
  });
}

TEST_F(ModuleFilesTest, WhicheverBytesOfAGraphFileAreDamagedThereIsAnErrorOrAModel) {
  const MetaGraph meta_graph = model_with_asset("words.txt").meta_graphs[0];
  const std::string as_text = "meta_info_def { tags: 'x' } graph_def { node { op: 'NoOp' } }";
  for (const std::string& bytes :
       {serialize_meta_graph(meta_graph), as_text, serialize_graph_def(meta_graph.graph)}) {
    for_each_corruption(bytes, [&](const std::string& damaged) {
      write_raw(path("x.meta"), damaged);
      survives([&] { open_model_files(path("x.meta")); });
    });
  }
}

TEST(CheckpointStateTest, TheNewestCheckpointIsFound) {
  const TempDirectory temp;
  EXPECT_EQ(latest_checkpoint(temp.path()), std::nullopt);
  write_raw(temp.path() + "/checkpoint",
            "model_checkpoint_path: \"ckpt-2\"\nall_model_checkpoint_paths: \"/abs/ckpt-1\"\n"
            "all_model_checkpoint_paths: \"ckpt-2\"\nall_model_checkpoint_timestamps: 1.5\n");
  EXPECT_EQ(latest_checkpoint(temp.path()), std::nullopt);  // no index
  write_raw(temp.path() + "/ckpt-2.index", "");
  EXPECT_EQ(latest_checkpoint(temp.path()), temp.path() + "/ckpt-2");
  const auto state = read_checkpoint_state(temp.path());
  EXPECT_THAT(state->all_model_checkpoint_paths,
              ElementsAre("/abs/ckpt-1", temp.path() + "/ckpt-2"));
  EXPECT_THAT(state->all_model_checkpoint_timestamps, ElementsAre(1.5));
  write_raw(temp.path() + "/checkpoint", "model_checkpoint_path 7");
  EXPECT_EQ(error_of([&] { read_checkpoint_state(temp.path()); }).kind(), ErrorKind::kDecode);
}

}  // namespace
}  // namespace hub::testing
