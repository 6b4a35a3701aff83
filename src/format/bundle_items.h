#pragma once

// Private to this layer: what a BundleReader holds.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "format/tensor_bundle.h"

namespace hub {

struct BundleReader::Item {
  std::string key;
  BundleEntry entry;
  std::string table_key = {};  // in a checkpoint of version 1: where the values are
  // Set once the checksum was found right. Not part of the item's value.
  mutable std::atomic<bool> verified = false;

  Item(std::string k, BundleEntry e) : key(std::move(k)), entry(std::move(e)) {}
  Item(Item&& other) noexcept
      : key(std::move(other.key)),
        entry(std::move(other.entry)),
        table_key(std::move(other.table_key)) {}
  Item& operator=(Item&& other) noexcept {
    key = std::move(other.key);
    entry = std::move(other.entry);
    table_key = std::move(other.table_key);
    return *this;
  }
};

struct BundleReader::Shard {
  std::once_flag opened;
  std::shared_ptr<const MappedFile> file;
};

}  // namespace hub
