#include "pieces.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

#include "ingot/crypto/hash.hpp"

namespace ingot::measure {
namespace {

Result<Buffer> hash_stream(const ByteSource& file, const Stream& stream, HashAlg alg) {
  static const Buffer zero_page(4096, 0);
  crypto::Hasher hasher(alg);
  for (const auto& piece : stream) {
    TRY(for_each_chunk(file, piece.offset, piece.size, [&](Bytes chunk) -> Result<void> {
      hasher.update(chunk);
      return {};
    }));
    hasher.update(piece.literal);
    for (std::uint64_t left = piece.zeroes; left > 0;) {
      const auto take = std::min<std::uint64_t>(left, zero_page.size());
      hasher.update(Bytes(zero_page).first(static_cast<std::size_t>(take)));
      left -= take;
    }
  }
  return hasher.finish();
}

struct Job {
  std::size_t stream = 0;
  HashAlg alg{};
  std::uint64_t size = 0;
};

}  // namespace

Piece loaded_section(const codec::PeSection& section) {
  const std::uint64_t in_file = std::min(section.raw_size, section.virtual_size);
  return {section.raw_offset, in_file, {}, section.virtual_size - in_file};
}

std::uint64_t stream_size(const Stream& stream) {
  std::uint64_t total = 0;
  for (const auto& piece : stream) total += piece.total();
  return total;
}

Result<std::vector<Digests>> hash_streams(const ByteSource& file, const std::vector<Stream>& streams) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < streams.size(); ++i)
    for (const auto alg : predicted_banks) jobs.push_back({i, alg, stream_size(streams[i])});
  // Largest first, so that no thread is left alone with a large one at the end.
  std::stable_sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) { return a.size > b.size; });

  std::vector<Result<Buffer>> results(jobs.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++)
      results[i] = hash_stream(file, streams[jobs[i].stream], jobs[i].alg);
  };
  constexpr std::uint64_t worth_a_thread_bytes = 1u << 20;
  const auto large = static_cast<unsigned>(
      std::count_if(jobs.begin(), jobs.end(), [](const Job& job) { return job.size >= worth_a_thread_bytes; }));
  {
    std::vector<std::jthread> helpers;
    const unsigned helper_count = std::min(large, std::min(std::max(std::thread::hardware_concurrency(), 1u), 8u));
    for (unsigned i = 1; i < helper_count; ++i) helpers.emplace_back(work);
    work();
  }
  std::vector<Digests> digests(streams.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) digests[jobs[i].stream][jobs[i].alg] = TRY(std::move(results[i]));
  return digests;
}

}  // namespace ingot::measure
