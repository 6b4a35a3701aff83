#pragma once

// The functions of libcurl that are used; loaded with the first call.

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

// The header makes macros of these in C only where it can check types; see above.
#undef curl_easy_setopt
#undef curl_easy_getinfo

#include <memory>

#include "resolve/shared_library.h"

namespace hub {

struct CurlLibrary {
  decltype(&curl_global_init) global_init;
  decltype(&curl_easy_init) easy_init;
  decltype(&curl_easy_cleanup) easy_cleanup;
  decltype(&curl_easy_setopt) easy_setopt;
  decltype(&curl_easy_getinfo) easy_getinfo;
  decltype(&curl_easy_strerror) easy_strerror;
  decltype(&curl_multi_init) multi_init;
  decltype(&curl_multi_cleanup) multi_cleanup;
  decltype(&curl_multi_add_handle) multi_add_handle;
  decltype(&curl_multi_remove_handle) multi_remove_handle;
  decltype(&curl_multi_perform) multi_perform;
  decltype(&curl_multi_poll) multi_poll;
  decltype(&curl_multi_info_read) multi_info_read;
  decltype(&curl_slist_append) slist_append;
  decltype(&curl_slist_free_all) slist_free_all;
};

// Errors: UNIMPLEMENTED where there is no libcurl.
const CurlLibrary& curl_library();

}  // namespace hub
