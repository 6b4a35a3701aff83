#include "resolve/curl_library.h"

namespace hub {
namespace {

CurlLibrary load_library() {
  const SharedLibrary library("libcurl.so.4", "libcurl4");
  CurlLibrary api = {};
  library.load(api.global_init, "curl_global_init");
  library.load(api.easy_init, "curl_easy_init");
  library.load(api.easy_cleanup, "curl_easy_cleanup");
  library.load(api.easy_setopt, "curl_easy_setopt");
  library.load(api.easy_getinfo, "curl_easy_getinfo");
  library.load(api.easy_strerror, "curl_easy_strerror");
  library.load(api.multi_init, "curl_multi_init");
  library.load(api.multi_cleanup, "curl_multi_cleanup");
  library.load(api.multi_add_handle, "curl_multi_add_handle");
  library.load(api.multi_remove_handle, "curl_multi_remove_handle");
  library.load(api.multi_perform, "curl_multi_perform");
  library.load(api.multi_poll, "curl_multi_poll");
  library.load(api.multi_info_read, "curl_multi_info_read");
  library.load(api.slist_append, "curl_slist_append");
  library.load(api.slist_free_all, "curl_slist_free_all");
  api.global_init(CURL_GLOBAL_DEFAULT);
  return api;
}

}  // namespace

const CurlLibrary& curl_library() {
  static const CurlLibrary kLibrary = load_library();
  return kLibrary;
}

}  // namespace hub
