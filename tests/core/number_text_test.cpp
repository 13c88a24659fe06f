#include <vitals/core/number_text.hpp>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include <catch2/catch.hpp>

#include <vitals/core/rng.hpp>

using vitals::shortest_text;

TEST_CASE("The shortest text of a number, by its type") {
  CHECK(shortest_text(0.1) == "0.1");
  CHECK(shortest_text(0.1f) == "0.1");
  CHECK(shortest_text(static_cast<double>(0.1f)) == "0.10000000149011612");
  CHECK(shortest_text(-1024.0f) == "-1024");
  CHECK(shortest_text(1e-5) == "1e-05");
  CHECK(shortest_text(0.0) == "0");
  CHECK(shortest_text(-std::numeric_limits<double>::denorm_min()) == "-5e-324");
  CHECK(shortest_text(std::numeric_limits<double>::lowest()) == "-1.7976931348623157e+308");
  CHECK(shortest_text(std::numeric_limits<float>::infinity()) == "inf");
}

TEST_CASE("The text reads back as the same number") {
  const vitals::Rng rng(1);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const double x = rng.normal_at(i) * std::pow(10.0, static_cast<double>(i % 60) - 30);
    CHECK(std::strtod(shortest_text(x).c_str(), nullptr) == x);
    const auto narrow = static_cast<float>(x);
    CHECK(std::strtof(shortest_text(narrow).c_str(), nullptr) == narrow);
  }
}
