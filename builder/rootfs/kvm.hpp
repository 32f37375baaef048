#pragma once

namespace ingot::builder::detail {

/// Whether a guest really runs under KVM here: a virtual machine of one page of code is started for it. That /dev/kvm
/// opens says little: in some clouds guests die on instructions that the outer hypervisor does not pass on.
bool kvm_works();

}  // namespace ingot::builder::detail
