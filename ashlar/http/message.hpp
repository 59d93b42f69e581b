// Request and response.
#pragma once

#include <ashlar/http/request.hpp>
#include <ashlar/http/response.hpp>
