// UKIs of odd shapes: the same sections, laid out in the file as no tool would, and some more sections. Generated from
// a number, so that number 17 is the same file in every run and on every machine.
#pragma once

#include <algorithm>
#include <random>
#include <string>

#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/pe.hpp"

namespace ingot::test {

struct OddShape {
  std::uint32_t header_slack = 0;    ///< bytes between section table and SizeOfHeaders
  std::uint32_t file_alignment = 0;  ///< of sections in the file, as the header says
  std::size_t extra_sections = 0;
  bool out_of_order = false;    ///< sections in the file are in another order than in the table
  bool table_shuffled = false;  ///< and the table is not in the order of addresses
  bool gaps = false;            ///< bytes between sections that belong to none
  bool odd_sizes = false;       ///< SizeOfRawData that is no multiple of the alignment
  std::size_t trailing = 0;     ///< bytes behind the last section

  [[nodiscard]] std::string text() const {
    return "slack " + std::to_string(header_slack) + ", alignment " + std::to_string(file_alignment) + ", " +
           std::to_string(extra_sections) + " more sections" + (out_of_order ? ", out of order" : "") +
           (table_shuffled ? ", table shuffled" : "") + (gaps ? ", gaps" : "") + (odd_sizes ? ", odd sizes" : "") +
           ", " + std::to_string(trailing) + " bytes behind";
  }
};

class OddUki {
 public:
  /// `uki`: unsigned, with room in its headers for SizeOfHeaders to grow up to its first section's address.
  OddUki(Buffer uki, std::uint32_t number) : uki_(std::move(uki)), random_(number) {
    pe_ = codec::decode_pe(*memory_source(uki_)).value();
    shape = choose(random_);
    take_sections();
    add_sections();
    place();
    write();
  }
  OddShape shape;
  Buffer bytes;

  /// The first number whose shape, but for its header_slack, is wanted.
  static std::uint32_t find(bool (*wanted)(const OddShape&)) {
    for (std::uint32_t number = 0;; ++number) {
      std::mt19937 random(number);
      if (wanted(choose(random))) return number;
    }
  }

 private:
  struct Section {
    codec::PeSection header;
    Buffer content;  ///< raw_size bytes
  };

  static std::uint32_t below(std::mt19937& random, std::uint32_t end) {
    return static_cast<std::uint32_t>(random()) % end;
  }
  std::uint32_t below(std::uint32_t end) { return below(random_, end); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  template <typename T>
  void shuffle(std::vector<T>& list) {  // std::shuffle's order is the library's choice
    for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[below(static_cast<std::uint32_t>(i))]);
  }
  static std::uint32_t up(std::uint64_t value, std::uint32_t alignment) {
    return static_cast<std::uint32_t>((value + alignment - 1) / alignment * alignment);
  }

  static OddShape choose(std::mt19937& random) {
    const auto one_of = [&](std::uint32_t n) { return below(random, n) == 0; };
    OddShape shape;
    constexpr std::uint32_t alignments[] = {0x20, 0x200, 0x200, 0x1000};
    shape.file_alignment = alignments[below(random, 4)];
    shape.extra_sections = one_of(8) ? 0 : 1 + below(random, 20);
    shape.out_of_order = one_of(3);
    shape.table_shuffled = one_of(4);
    shape.gaps = one_of(4);
    shape.odd_sizes = one_of(3);
    constexpr std::uint32_t trailing[] = {0, 0, 1, 7, 8, 511, 4096, 10001};
    shape.trailing = trailing[below(random, 8)];
    return shape;
  }

  void take_sections() {
    for (const auto& header : pe_.sections) {
      const auto from = uki_.begin() + (header.raw_size == 0 ? 0 : header.raw_offset);
      sections_.push_back({header, header.raw_size == 0 ? Buffer{} : Buffer(from, from + header.raw_size)});
      if (shape.odd_sizes) continue;
      auto& last = sections_.back();
      last.header.raw_size = up(header.raw_size, shape.file_alignment);
      last.content.resize(last.header.raw_size);
    }
  }

  void add_sections() {
    std::uint32_t address = up(pe_.size_of_image, pe_.section_alignment);
    for (std::size_t i = 0; i < shape.extra_sections; ++i) {
      constexpr std::uint32_t sizes[] = {0, 0, 1, 2, 511, 512, 513, 4095, 20000};
      const std::uint32_t size = sizes[below(9)];
      Section section;
      section.header.name = ".odd" + std::to_string(i);
      section.header.virtual_address = address;
      // A loader fills up with zeros, or takes a part; and 0 means as much as the file has.
      const std::uint32_t virtual_sizes[] = {size, size + 5000, size / 2, 0};
      section.header.virtual_size = virtual_sizes[below(4)];
      section.header.raw_size = shape.odd_sizes ? size : up(size, shape.file_alignment);
      section.header.characteristics = 0x40000040;  // readable data
      for (std::uint32_t k = 0; k < section.header.raw_size; ++k)
        section.content.push_back(static_cast<std::uint8_t>(k < size ? random_() : 0));
      address =
          up(address + std::max(section.header.virtual_size, section.header.raw_size) + 1u, pe_.section_alignment);
      sections_.push_back(std::move(section));
    }
    size_of_image_ = address;
    if (shape.table_shuffled) shuffle(sections_);
  }

  void place() {
    const auto table_end = pe_.section_table_offset + static_cast<std::uint32_t>(sections_.size()) * 40;
    std::uint32_t first = 0xFFFFFFFF;
    for (const auto& section : sections_) first = std::min(first, section.header.virtual_address);
    const std::uint32_t least = up(table_end, shape.file_alignment);
    size_of_headers_ = least;
    for (auto more = below(4); more > 0 && size_of_headers_ + shape.file_alignment <= first; --more)
      size_of_headers_ += shape.file_alignment;
    shape.header_slack = size_of_headers_ - table_end;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < sections_.size(); ++i) order.push_back(i);
    if (shape.out_of_order) {
      // In half of these the last of the table is the last in the file, too (see tests/tool/odd_uki_test.cpp).
      const bool last_stays = one_in(2);
      if (last_stays) order.pop_back();
      shuffle(order);
      if (last_stays) order.push_back(sections_.size() - 1);
    }
    end_ = size_of_headers_;
    for (const auto i : order) {
      auto& header = sections_[i].header;
      if (header.raw_size == 0) {
        header.raw_offset = one_in(2) ? 0 : end_;
        continue;
      }
      if (shape.gaps && one_in(2)) end_ += shape.file_alignment * (1 + below(3));
      if (!shape.odd_sizes) end_ = up(end_, shape.file_alignment);
      header.raw_offset = end_;
      end_ += header.raw_size;
    }
  }

  void write() {
    Writer out;
    out.bytes(Bytes(uki_).first(pe_.section_table_offset));
    for (const auto& [header, content] : sections_)
      out.text(header.name)
          .fill(8 - header.name.size())
          .u32le(header.virtual_size)
          .u32le(header.virtual_address)
          .u32le(header.raw_size)
          .u32le(header.raw_offset)
          .fill(12)
          .u32le(header.characteristics);
    out.fill(size_of_headers_ - out.size(), 0xA5);
    bytes = out.take();
    bytes.resize(end_, 0x5A);  // what lies in gaps is no zeros
    for (const auto& [header, content] : sections_)
      std::copy(content.begin(), content.end(), bytes.begin() + header.raw_offset);
    for (std::size_t i = 0; i < shape.trailing; ++i) bytes.push_back(static_cast<std::uint8_t>(random_()));
    put(pe_.pe_header_offset + 6, Writer{}.u16le(static_cast<std::uint16_t>(sections_.size())).view());
    put(pe_.pe_header_offset + 12, Buffer(8));  // no symbol table
    put(pe_.optional_header_offset + 36, Writer{}.u32le(shape.file_alignment).view());
    put(pe_.optional_header_offset + 56, Writer{}.u32le(size_of_image_).u32le(size_of_headers_).u32le(0).view());
  }
  void put(std::size_t at, const Buffer& value) {
    std::copy(value.begin(), value.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }

  Buffer uki_;
  std::mt19937 random_;
  codec::Pe pe_;
  std::vector<Section> sections_;
  std::uint32_t size_of_headers_ = 0, size_of_image_ = 0, end_ = 0;
};

}  // namespace ingot::test
