// Runs a fuzz target over files and folders without a fuzzer: seeds and everything a fuzzer ever found stay found.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fs = std::filesystem;

int main(int argc, char** argv) {
  if (argc < 2) return std::fputs("usage: a fuzz target takes the folder of its corpus\n", stderr), 3;
  for (int i = 1; i < argc; ++i) {
    std::vector<fs::path> files;
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(argv[i], missing))
      if (entry.is_regular_file()) files.push_back(entry.path());
    // An empty corpus would pass without a test.
    if (files.empty()) return std::fprintf(stderr, "%s: no seeds\n", argv[i]), 1;
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      // Named first, so that the last line of a crash says which.
      std::fprintf(stderr, "%s\n", file.c_str());
      std::ifstream in(file, std::ios::binary);
      const std::vector<char> text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      // Its own allocation of the exact size: reading behind the end is seen by AddressSanitizer.
      const std::vector<std::uint8_t> bytes(text.begin(), text.end());
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::fprintf(stderr, "%zu seeds\n", files.size());
  }
}
