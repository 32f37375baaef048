// What a person does, in words. Internal to check/.
#pragma once

#include <string>

#include "ingot/model/finding.hpp"

namespace ingot::check {

std::string advice(Remedy remedy);

}  // namespace ingot::check
