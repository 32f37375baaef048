#include "kvm.hpp"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "ingot/base/descriptor.hpp"

namespace ingot::builder::detail {
namespace {

class Mapping {
 public:
  Mapping(std::size_t size, int flags, int fd)
      : size_(size), at_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0)) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (is_there()) ::munmap(at_, size_);
  }
  [[nodiscard]] bool is_there() const { return at_ != MAP_FAILED; }
  [[nodiscard]] void* get() const { return at_; }

 private:
  std::size_t size_;
  void* at_;
};

constexpr std::uint64_t code_at = 0x4000;
constexpr std::uint64_t data_at = 0x5000;
constexpr std::uint64_t tables_at = 0x1000;  // PML4, PDPT and PD, one page each
constexpr std::size_t memory_bytes = 0x10000;

void write_u64(const Mapping& memory, std::uint64_t at, std::uint64_t value) {
  std::memcpy(static_cast<std::uint8_t*>(memory.get()) + at, &value, sizeof value);
}

/// Identity-mapped first 2 MiB; code that does what guests were seen to die of.
void fill(const Mapping& memory) {
  write_u64(memory, tables_at, (tables_at + 0x1000) | 3);
  write_u64(memory, tables_at + 0x1000, (tables_at + 0x2000) | 3);
  write_u64(memory, tables_at + 0x2000, 0x83);                                     // present, writable, 2 MiB
  constexpr std::array<std::uint8_t, 6> code{0xf0, 0x48, 0x0f, 0xc7, 0x0f, 0xf4};  // lock cmpxchg16b [rdi]; hlt
  std::copy(code.begin(), code.end(), static_cast<std::uint8_t*>(memory.get()) + code_at);
}

bool enter_long_mode(int vcpu) {
  kvm_sregs special{};
  if (::ioctl(vcpu, KVM_GET_SREGS, &special) != 0) return false;
  kvm_segment code{};
  code.limit = 0xffffffff;
  code.selector = 8;
  code.type = 11;
  code.present = code.s = code.l = code.g = 1;
  auto data = code;
  data.selector = 16;
  data.type = 3;
  data.l = 0;
  data.db = 1;
  special.cs = code;
  special.ds = special.es = special.ss = data;
  special.cr3 = tables_at;
  special.cr4 = 1u << 5;                  // PAE
  special.cr0 = 0x80000001;               // PG, PE
  special.efer = (1u << 8) | (1u << 10);  // LME, LMA
  if (::ioctl(vcpu, KVM_SET_SREGS, &special) != 0) return false;
  kvm_regs registers{};
  registers.rip = code_at;
  registers.rdi = data_at;
  registers.rflags = 2;
  return ::ioctl(vcpu, KVM_SET_REGS, &registers) == 0;
}

bool probe() {
  const Descriptor kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (kvm.get() < 0 || ::ioctl(kvm.get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION) return false;
  const Descriptor machine(::ioctl(kvm.get(), KVM_CREATE_VM, 0));
  if (machine.get() < 0) return false;
  const Mapping memory(memory_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (!memory.is_there()) return false;
  fill(memory);
  kvm_userspace_memory_region region{};
  region.memory_size = memory_bytes;
  region.userspace_addr = static_cast<std::uint64_t>(std::bit_cast<std::uintptr_t>(memory.get()));
  if (::ioctl(machine.get(), KVM_SET_USER_MEMORY_REGION, &region) != 0) return false;
  const Descriptor vcpu(::ioctl(machine.get(), KVM_CREATE_VCPU, 0));
  const int run_bytes = ::ioctl(kvm.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (vcpu.get() < 0 || run_bytes < static_cast<int>(sizeof(kvm_run))) return false;
  const Mapping state(static_cast<std::size_t>(run_bytes), MAP_SHARED, vcpu.get());
  if (!state.is_there() || !enter_long_mode(vcpu.get()) || ::ioctl(vcpu.get(), KVM_RUN, 0) != 0) return false;
  return static_cast<const kvm_run*>(state.get())->exit_reason == KVM_EXIT_HLT;
}

}  // namespace

bool kvm_works() {
  static const bool works = probe();
  return works;
}

}  // namespace ingot::builder::detail
